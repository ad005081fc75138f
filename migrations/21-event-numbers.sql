-- A push writes to no table of numbers: the newest event stays, so that numbers go on. Nor does it write to an index: what a queue
-- waits for is looked for among the events from its place on.
ALTER TABLE events RENAME TO events_before;
CREATE TABLE events (
    id              INTEGER PRIMARY KEY,
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
INSERT INTO events SELECT * FROM events_before;
DROP TABLE events_before;
CREATE INDEX events_of_pulls ON events (id) WHERE kind IN ('manifest-pull', 'manifest-check', 'blob-pull', 'blob-check');

-- Numbers of events that are gone come again.
UPDATE endpoints SET last_event = min(last_event, coalesce((SELECT max(id) FROM events), 0));
DELETE FROM queues WHERE next_event > coalesce((SELECT max(id) FROM events), 0);
DELETE FROM attempts WHERE event_id NOT IN (SELECT id FROM events);
