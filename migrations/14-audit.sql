-- Who changed what, for longer than what was changed.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    action     TEXT    NOT NULL,
    repository TEXT,
    tag        TEXT,
    digest     TEXT,           -- after the change
    former     TEXT,           -- before the change
    name       TEXT,           -- user, token:NAME, or a part of the registry
    credential TEXT,           -- id of the secret of a token
    address    TEXT,
    user_agent TEXT,
    detail     TEXT
) STRICT;
CREATE INDEX audit_by_repository ON audit (repository, id);
CREATE INDEX audit_by_name ON audit (name, id);
CREATE INDEX audit_by_action ON audit (action, id);
