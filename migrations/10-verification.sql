-- What is wrong with the blob that has left this gap; NULL for other gaps. The next push of the blob fills it.
ALTER TABLE absent_references ADD COLUMN damage TEXT;
CREATE INDEX absent_references_damaged ON absent_references (digest) WHERE damage IS NOT NULL;

-- What is wrong with a manifest that is not served; NULL if it is served. The next push replaces it.
ALTER TABLE manifests ADD COLUMN damage TEXT;
CREATE INDEX manifests_damaged ON manifests (repository_id) WHERE damage IS NOT NULL;

-- The last run of verification by each kind of runner, or how far it has come.
CREATE TABLE verifications (
    runner      TEXT PRIMARY KEY,
    place       TEXT    NOT NULL,  -- the directory that was verified: a copy of this database is not
    scope       TEXT    NOT NULL,  -- what was to be verified
    begun_at    INTEGER NOT NULL,
    phase       TEXT    NOT NULL,
    after       INTEGER NOT NULL,  -- number of the last row of the phase that was verified
    blobs       INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    manifests   INTEGER NOT NULL,
    damaged     INTEGER NOT NULL,
    finished_at INTEGER             -- NULL while it is under way
) STRICT, WITHOUT ROWID;
