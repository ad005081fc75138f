-- Who needs what, since when nobody does, and what can be undone.
--
-- Counts of holders are kept by triggers, so that no code can forget them. What falls to no holder gets `idle_since`, the
-- time when it was last needed or last promised to a client; collection reads the partial indexes over that, so that its
-- cost is that of what there is to collect.

-- A link is held by the manifests of its repository that need the blob.
ALTER TABLE repository_blobs ADD COLUMN holders INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repository_blobs ADD COLUMN idle_since INTEGER;
CREATE INDEX repository_blobs_idle ON repository_blobs (idle_since) WHERE idle_since IS NOT NULL;

-- A blob is held by its links.
ALTER TABLE blobs ADD COLUMN links INTEGER NOT NULL DEFAULT 0;
ALTER TABLE blobs ADD COLUMN idle_since INTEGER;
-- The last time that a repository needed it which does not show it any more: the last link to go need not be the last that
-- was needed, where somebody takes a blob out of a repository by hand.
ALTER TABLE blobs ADD COLUMN needed_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX blobs_idle ON blobs (idle_since) WHERE idle_since IS NOT NULL;

-- A manifest is held by tags, by the indexes that name it, and by its subject.
ALTER TABLE manifests ADD COLUMN holders INTEGER NOT NULL DEFAULT 0;
ALTER TABLE manifests ADD COLUMN idle_since INTEGER;
-- An index or a subject held it last: it goes after them, and not by what is ruled about untagged manifests.
ALTER TABLE manifests ADD COLUMN is_freed INTEGER NOT NULL DEFAULT 0;
-- What collection compares instead of idle_since, once a rule has said to look again later.
ALTER TABLE manifests ADD COLUMN review_from INTEGER;
-- The subject, while it is here and does not itself hang on this manifest.
ALTER TABLE manifests ADD COLUMN held_by INTEGER REFERENCES manifests;
ALTER TABLE manifests ADD COLUMN pulled_at INTEGER;
ALTER TABLE manifests ADD COLUMN pulls INTEGER NOT NULL DEFAULT 0;
CREATE INDEX manifests_idle ON manifests (review_from) WHERE review_from IS NOT NULL;
CREATE INDEX manifests_held_by ON manifests (held_by) WHERE held_by IS NOT NULL;

ALTER TABLE tags ADD COLUMN set_by TEXT;
ALTER TABLE tags ADD COLUMN set_from TEXT;
ALTER TABLE tags ADD COLUMN pulled_at INTEGER;
ALTER TABLE tags ADD COLUMN pulls INTEGER NOT NULL DEFAULT 0;

-- When the rules about tags are to be applied next; NULL where nothing changes until something is pushed.
ALTER TABLE repositories ADD COLUMN review_at INTEGER;
CREATE INDEX repositories_reviewed ON repositories (review_at) WHERE review_at IS NOT NULL;

-- What a tag pointed at before: one row for each state that has ended. The present one is the tag itself.
CREATE TABLE tag_history (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories,
    tag           TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    media_type    TEXT    NOT NULL,
    size          INTEGER NOT NULL,
    since         INTEGER NOT NULL,
    set_by        TEXT,
    set_from      TEXT,
    until         INTEGER NOT NULL,
    is_deletion   INTEGER NOT NULL,  -- it was not moved but removed
    ended_by      TEXT,
    ended_from    TEXT
) STRICT;
CREATE INDEX tag_history_by_tag ON tag_history (repository_id, tag, id);
CREATE INDEX tag_history_by_time ON tag_history (until);

-- Manifests that were deleted, or have expired, for as long as they can be brought back.
CREATE TABLE trash (
    repository_id INTEGER NOT NULL REFERENCES repositories,
    digest        TEXT    NOT NULL,
    media_type    TEXT    NOT NULL,
    bytes         BLOB    NOT NULL,
    subject       TEXT,
    tags          TEXT    NOT NULL,  -- those that went with it, as a JSON array
    deleted_at    INTEGER NOT NULL,
    deleted_by    TEXT,
    deleted_from  TEXT,
    PRIMARY KEY (repository_id, digest)
) STRICT;
CREATE INDEX trash_by_time ON trash (deleted_at);
CREATE INDEX trash_by_subject ON trash (repository_id, subject) WHERE subject IS NOT NULL;

-- Files whose blobs are gone, until their removal is durable. A row names a file once; another row may name it again.
-- AUTOINCREMENT: two processes may work off the same rows, and the slower one must not forget a younger row by an old number.
CREATE TABLE removals (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT    NOT NULL,
    size   INTEGER NOT NULL
) STRICT;

-- What other processes on this directory need to know of the server's configuration, as JSON.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

UPDATE repository_blobs SET holders = (
    SELECT count(*) FROM manifest_blobs JOIN manifests ON manifests.id = manifest_id
    WHERE manifest_blobs.blob_id = repository_blobs.blob_id AND manifests.repository_id = repository_blobs.repository_id
);
UPDATE repository_blobs SET idle_since = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE holders = 0;
UPDATE blobs SET links = (SELECT count(*) FROM repository_blobs WHERE blob_id = blobs.id);
UPDATE blobs SET idle_since = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE links = 0;
-- an index that is about the manifest it names would hold it, and be held by it, for ever
UPDATE manifests SET held_by = (
    SELECT subject.id FROM manifests AS subject
    WHERE subject.repository_id = manifests.repository_id AND subject.digest = manifests.subject
) WHERE subject IS NOT NULL AND NOT EXISTS (SELECT 1 FROM manifest_children WHERE parent_id = manifests.id);
UPDATE manifests SET holders = (SELECT count(*) FROM tags WHERE manifest_id = manifests.id)
    + (SELECT count(*) FROM manifest_children WHERE child_id = manifests.id) + (held_by IS NOT NULL);
UPDATE manifests SET idle_since = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE holders = 0;
UPDATE manifests SET review_from = idle_since;
DELETE FROM repositories WHERE manifests = 0 AND NOT EXISTS (SELECT 1 FROM repository_blobs WHERE repository_id = repositories.id);
UPDATE repositories SET review_at = 0;

CREATE TRIGGER link_inserted AFTER INSERT ON repository_blobs BEGIN
    UPDATE blobs SET links = links + 1, idle_since = NULL WHERE id = NEW.blob_id;
END;
CREATE TRIGGER link_deleted AFTER DELETE ON repository_blobs BEGIN
    UPDATE blobs SET links = links - 1,
        needed_at = max(needed_at, coalesce(OLD.idle_since, CAST(unixepoch('subsec') * 1000 AS INTEGER))),
        idle_since = CASE WHEN links = 1
            THEN max(needed_at, coalesce(OLD.idle_since, CAST(unixepoch('subsec') * 1000 AS INTEGER))) END
    WHERE id = OLD.blob_id;
END;

CREATE TRIGGER blob_reference_inserted AFTER INSERT ON manifest_blobs BEGIN
    UPDATE repository_blobs SET holders = holders + 1, idle_since = NULL
    WHERE blob_id = NEW.blob_id AND repository_id = (SELECT repository_id FROM manifests WHERE id = NEW.manifest_id);
END;
CREATE TRIGGER blob_reference_deleted AFTER DELETE ON manifest_blobs BEGIN
    UPDATE repository_blobs SET holders = holders - 1,
        idle_since = CASE WHEN holders = 1 THEN CAST(unixepoch('subsec') * 1000 AS INTEGER) END
    WHERE blob_id = OLD.blob_id AND repository_id = (SELECT repository_id FROM manifests WHERE id = OLD.manifest_id);
END;

CREATE TRIGGER tag_inserted AFTER INSERT ON tags BEGIN
    UPDATE manifests SET holders = holders + 1, idle_since = NULL, review_from = NULL, is_freed = 0 WHERE id = NEW.manifest_id;
    UPDATE repositories SET review_at = 0 WHERE id = NEW.repository_id AND review_at IS NOT 0;
END;
CREATE TRIGGER tag_moved AFTER UPDATE OF manifest_id ON tags WHEN OLD.manifest_id <> NEW.manifest_id BEGIN
    UPDATE manifests SET holders = holders + 1, idle_since = NULL, review_from = NULL, is_freed = 0 WHERE id = NEW.manifest_id;
    UPDATE manifests SET holders = holders - 1 WHERE id = OLD.manifest_id;
    UPDATE manifests SET idle_since = CAST(unixepoch('subsec') * 1000 AS INTEGER),
        review_from = CAST(unixepoch('subsec') * 1000 AS INTEGER)
    WHERE id = OLD.manifest_id AND holders = 0;
    UPDATE repositories SET review_at = 0 WHERE id = NEW.repository_id AND review_at IS NOT 0;
END;
CREATE TRIGGER tag_deleted AFTER DELETE ON tags BEGIN
    UPDATE manifests SET holders = holders - 1 WHERE id = OLD.manifest_id;
    UPDATE manifests SET idle_since = CAST(unixepoch('subsec') * 1000 AS INTEGER),
        review_from = CAST(unixepoch('subsec') * 1000 AS INTEGER)
    WHERE id = OLD.manifest_id AND holders = 0;
END;

CREATE TRIGGER child_inserted AFTER INSERT ON manifest_children BEGIN
    UPDATE manifests SET holders = holders + 1, idle_since = NULL, review_from = NULL, is_freed = 0 WHERE id = NEW.child_id;
END;
CREATE TRIGGER child_freed AFTER DELETE ON manifest_children BEGIN
    UPDATE manifests SET holders = holders - 1 WHERE id = OLD.child_id;
    UPDATE manifests SET is_freed = 1, idle_since = CAST(unixepoch('subsec') * 1000 AS INTEGER),
        review_from = CAST(unixepoch('subsec') * 1000 AS INTEGER)
    WHERE id = OLD.child_id AND holders = 0;
END;
CREATE TRIGGER referrer_held AFTER UPDATE OF held_by ON manifests WHEN OLD.held_by IS NULL AND NEW.held_by IS NOT NULL BEGIN
    UPDATE manifests SET holders = holders + 1, idle_since = NULL, review_from = NULL, is_freed = 0 WHERE id = NEW.id;
END;
CREATE TRIGGER referrer_freed AFTER UPDATE OF held_by ON manifests WHEN OLD.held_by IS NOT NULL AND NEW.held_by IS NULL BEGIN
    UPDATE manifests SET holders = holders - 1 WHERE id = NEW.id;
    UPDATE manifests SET is_freed = 1, idle_since = CAST(unixepoch('subsec') * 1000 AS INTEGER),
        review_from = CAST(unixepoch('subsec') * 1000 AS INTEGER)
    WHERE id = NEW.id AND holders = 0;
END;

-- Before, while the row is there: the other triggers ask it for its repository. Its tags must have been ended by then,
-- for their history's sake.
CREATE TRIGGER manifest_going BEFORE DELETE ON manifests BEGIN
    SELECT RAISE(ABORT, 'a manifest that still has tags') WHERE EXISTS (SELECT 1 FROM tags WHERE manifest_id = OLD.id);
    DELETE FROM manifest_blobs WHERE manifest_id = OLD.id;
    DELETE FROM manifest_children WHERE parent_id = OLD.id;
    UPDATE manifests SET held_by = NULL WHERE held_by = OLD.id;
END;
