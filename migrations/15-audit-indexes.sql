-- A push writes to no index that queries about pushes do without, and to no table of numbers.
ALTER TABLE audit RENAME TO audit_before;
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY,
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
INSERT INTO audit SELECT * FROM audit_before;
DROP TABLE audit_before;
CREATE INDEX audit_by_repository ON audit (repository, id);
CREATE INDEX audit_by_name ON audit (name, id) WHERE name IS NOT NULL;
-- of these two the newest rows are full: a query finds them without an index
CREATE INDEX audit_by_action ON audit (action, id) WHERE action NOT IN ('push', 'tag');
