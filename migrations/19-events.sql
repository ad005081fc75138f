-- What happened, for endpoints outside: a row is written in the transaction of the change that it tells.
CREATE TABLE events (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid            TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    repository      TEXT,
    tag             TEXT,
    media_type      TEXT,
    digest          TEXT,
    size            INTEGER,
    former          TEXT,          -- digest that the tag had before
    from_repository TEXT,
    name            TEXT,
    address         TEXT,
    user_agent      TEXT,
    request         TEXT,          -- JSON
    detail          TEXT
) STRICT;
-- Endpoints that a server has had, and how far events have been shared out to each.
CREATE TABLE endpoints (
    name         TEXT    PRIMARY KEY,
    last_event   INTEGER NOT NULL,
    succeeded_at INTEGER,
    failures     INTEGER NOT NULL DEFAULT 0,   -- attempts that failed since
    seen_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE deliveries (
    id         INTEGER PRIMARY KEY,
    endpoint   TEXT    NOT NULL,
    event_id   INTEGER NOT NULL,
    repository TEXT    NOT NULL,               -- '' for events of the whole registry
    state      INTEGER NOT NULL DEFAULT 0,     -- 0 waiting, 1 delivered, 2 dead
    since      INTEGER NOT NULL,               -- from here on its age counts
    due_at     INTEGER NOT NULL,
    former     TEXT,                           -- digest before the first of several collapsed events
    attempts   INTEGER NOT NULL DEFAULT 0,
    tried_at   INTEGER,
    status     INTEGER,
    duration   INTEGER,                        -- of the last attempt, in milliseconds
    answer     TEXT,                           -- its first bytes, or the error
    UNIQUE (endpoint, event_id)
) STRICT;
CREATE INDEX deliveries_waiting ON deliveries (endpoint, repository, event_id, due_at) WHERE state = 0;
CREATE INDEX deliveries_by_event ON deliveries (event_id);
CREATE INDEX deliveries_by_state ON deliveries (state, event_id);
