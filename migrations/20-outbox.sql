-- An endpoint is told of events from its cursor on; what it is behind with is one row for each repository, not for each event.
CREATE INDEX events_by_repository ON events (repository, id);
-- The condition of pulls, as src/meta/outbox/retention.rs asks for them.
CREATE INDEX events_of_pulls ON events (id) WHERE kind IN ('manifest-pull', 'manifest-check', 'blob-pull', 'blob-check');

ALTER TABLE endpoints ADD COLUMN kinds INTEGER NOT NULL DEFAULT 0;   -- that it listens to
ALTER TABLE endpoints DROP COLUMN seen_at;
UPDATE endpoints SET kinds = coalesce((SELECT CAST(value AS INTEGER) FROM settings WHERE name = 'event-kinds'), 0);
DELETE FROM settings WHERE name = 'event-kinds';

-- Repositories whose events an endpoint was not told of in time. Their events up to the endpoint's cursor wait from next_event on.
CREATE TABLE queues (
    endpoint   TEXT    NOT NULL,
    repository TEXT    NOT NULL,               -- '' for events of the whole registry
    next_event INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,               -- that failed since the last success
    waited     INTEGER NOT NULL,               -- between them, in milliseconds
    carried    TEXT    NOT NULL,               -- JSON: events, and the digest before those that they replace
    PRIMARY KEY (endpoint, repository)
) STRICT, WITHOUT ROWID;
CREATE INDEX queues_by_due ON queues (endpoint, due_at);
INSERT INTO queues
    SELECT endpoint, repository, min(event_id), 0, 0, 0, '[]' FROM deliveries WHERE state = 0 GROUP BY endpoint, repository;

-- The last attempt to tell an endpoint of an event.
CREATE TABLE attempts (
    endpoint TEXT    NOT NULL,
    event_id INTEGER NOT NULL,
    state    INTEGER NOT NULL,                 -- 0 failed, 1 delivered, 2 given up, 3 to be sent again because somebody asked
    attempts INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    waited   INTEGER NOT NULL,                 -- of state 3, between attempts, in milliseconds
    tried_at INTEGER,
    status   INTEGER,
    duration INTEGER,                          -- in milliseconds
    answer   TEXT,                             -- first bytes, or the error
    PRIMARY KEY (endpoint, event_id)
) STRICT, WITHOUT ROWID;
INSERT INTO attempts
    SELECT endpoint, event_id, state, attempts, due_at, 0, tried_at, status, duration, answer FROM deliveries
    WHERE attempts > 0;
DROP TABLE deliveries;
CREATE INDEX attempts_failed ON attempts (endpoint, event_id) WHERE state <> 1;
CREATE INDEX attempts_again ON attempts (endpoint, due_at) WHERE state = 3;
