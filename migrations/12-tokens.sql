-- Tokens of machines. The rights of one without globs are those of the access rules alone.
CREATE TABLE tokens (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL,
    repositories TEXT    NOT NULL,  -- globs, as a JSON array
    may          TEXT    NOT NULL,  -- actions, separated by commas
    owner        TEXT,              -- the user whose rights it never exceeds
    lifetime     INTEGER,           -- of each secret; NULL if they do not expire
    created_at   INTEGER NOT NULL,
    created_by   TEXT,
    revoked_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_at IS NULL;

-- What clients send, as a hash. After a rotation a token has several for a while.
CREATE TABLE token_secrets (
    id           TEXT    PRIMARY KEY,
    token_id     INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    hash         BLOB    NOT NULL,  -- SHA-256 of the whole secret
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    replaced_at  INTEGER,           -- time of the rotation that made another
    used_at      INTEGER,
    used_from    TEXT               -- address of the last use
) STRICT, WITHOUT ROWID;
CREATE INDEX token_secrets_by_token ON token_secrets (token_id, created_at);
