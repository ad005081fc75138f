-- What a day brought, for charts. A day without a row is as the one before, with neither pushes nor pulls.
CREATE TABLE days (
    day        INTEGER NOT NULL,            -- number of the day since 1970, in UTC
    repository TEXT    NOT NULL,            -- name; empty for the whole store
    size       INTEGER,                     -- bytes at the first collection of the day; NULL for those of the day before
    pushes     INTEGER NOT NULL DEFAULT 0,  -- manifests, counted by the collection after them
    pulls      INTEGER NOT NULL DEFAULT 0,
    audit      INTEGER,                     -- last row of the audit log that was counted, beside the whole store
    PRIMARY KEY (day, repository)
) STRICT, WITHOUT ROWID;
CREATE INDEX days_by_repository ON days (repository, day) WHERE size IS NOT NULL;
