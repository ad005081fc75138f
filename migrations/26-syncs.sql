-- What is fetched ahead from upstreams, and the last run of each. The upstream is its prefix, or '' where the whole registry is its cache.
CREATE TABLE syncs (
    upstream     TEXT    NOT NULL,
    rule         TEXT    NOT NULL,             -- what it names, in words
    url          TEXT    NOT NULL,
    every        INTEGER NOT NULL,             -- milliseconds
    begun_at     INTEGER,                      -- of the run that is under way
    completed_at INTEGER,                      -- end of the last run that went through
    failed_at    INTEGER,                      -- end of the last one that did not
    failure      TEXT,                         -- why, until one goes through
    failures     INTEGER NOT NULL DEFAULT 0,   -- runs that have failed since
    repositories INTEGER NOT NULL DEFAULT 0,   -- that the last run has read
    tags         INTEGER NOT NULL DEFAULT 0,   -- that it names there
    missing_tags INTEGER NOT NULL DEFAULT 0,   -- that did not come
    PRIMARY KEY (upstream, rule)
) STRICT, WITHOUT ROWID;

-- What the last run could not bring, and why.
CREATE TABLE sync_problems (
    upstream TEXT NOT NULL,
    rule     TEXT NOT NULL,
    place    TEXT NOT NULL,
    problem  TEXT NOT NULL,
    PRIMARY KEY (upstream, rule, place),
    FOREIGN KEY (upstream, rule) REFERENCES syncs ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
