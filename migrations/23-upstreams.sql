-- What the last server has seen of its upstreams. The name is the prefix, or '' where the whole registry is a cache.
CREATE TABLE upstreams (
    name            TEXT    PRIMARY KEY,
    url             TEXT    NOT NULL,
    answered_at     INTEGER,
    failed_at       INTEGER,
    failure         TEXT,
    quota_limit     INTEGER,
    quota_remaining INTEGER,
    hits            INTEGER NOT NULL,
    misses          INTEGER NOT NULL,
    stale           INTEGER NOT NULL,
    fetched         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
