-- Time since which unreferenced content is there only because something was deleted: a tag, index or manifest was the last
-- to need it, and no client has been told of it since. NULL for what is needed, was pushed, or is promised to a client.
-- Collection of deleted content (gc --now) takes nothing else.
ALTER TABLE repository_blobs ADD COLUMN released_at INTEGER;
ALTER TABLE manifests ADD COLUMN released_at INTEGER;
CREATE INDEX repository_blobs_released ON repository_blobs (repository_id, blob_id) WHERE released_at IS NOT NULL;
CREATE INDEX manifests_released ON manifests (repository_id, id) WHERE released_at IS NOT NULL;

DROP TRIGGER blob_reference_inserted;
CREATE TRIGGER blob_reference_inserted AFTER INSERT ON manifest_blobs BEGIN
    UPDATE repository_blobs SET holders = holders + 1, idle_since = NULL, released_at = NULL
    WHERE blob_id = NEW.blob_id AND repository_id = (SELECT repository_id FROM manifests WHERE id = NEW.manifest_id);
END;
DROP TRIGGER blob_reference_deleted;
CREATE TRIGGER blob_reference_deleted AFTER DELETE ON manifest_blobs BEGIN
    UPDATE repository_blobs SET holders = holders - 1,
        idle_since = CASE WHEN holders = 1 THEN CAST(unixepoch('subsec') * 1000 AS INTEGER) END,
        released_at = CASE WHEN holders = 1 THEN CAST(unixepoch('subsec') * 1000 AS INTEGER) END
    WHERE blob_id = OLD.blob_id AND repository_id = (SELECT repository_id FROM manifests WHERE id = OLD.manifest_id);
END;

DROP TRIGGER tag_inserted;
CREATE TRIGGER tag_inserted AFTER INSERT ON tags BEGIN
    UPDATE manifests SET holders = holders + 1, idle_since = NULL, review_from = NULL, has_lost_parent = 0, released_at = NULL
    WHERE id = NEW.manifest_id;
    UPDATE repositories SET review_at = 0 WHERE id = NEW.repository_id AND review_at IS NOT 0;
END;
-- What a tag moves away from is not deleted.
DROP TRIGGER tag_moved;
CREATE TRIGGER tag_moved AFTER UPDATE OF manifest_id ON tags WHEN OLD.manifest_id <> NEW.manifest_id BEGIN
    UPDATE manifests SET holders = holders + 1, idle_since = NULL, review_from = NULL, has_lost_parent = 0, released_at = NULL
    WHERE id = NEW.manifest_id;
    UPDATE manifests SET holders = holders - 1 WHERE id = OLD.manifest_id;
    UPDATE manifests SET idle_since = CAST(unixepoch('subsec') * 1000 AS INTEGER),
        review_from = CAST(unixepoch('subsec') * 1000 AS INTEGER)
    WHERE id = OLD.manifest_id AND holders = 0;
    UPDATE repositories SET review_at = 0 WHERE id = NEW.repository_id AND review_at IS NOT 0;
END;
DROP TRIGGER tag_deleted;
CREATE TRIGGER tag_deleted AFTER DELETE ON tags BEGIN
    UPDATE manifests SET holders = holders - 1 WHERE id = OLD.manifest_id;
    UPDATE manifests SET idle_since = CAST(unixepoch('subsec') * 1000 AS INTEGER),
        review_from = CAST(unixepoch('subsec') * 1000 AS INTEGER), released_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
    WHERE id = OLD.manifest_id AND holders = 0;
END;

DROP TRIGGER child_inserted;
CREATE TRIGGER child_inserted AFTER INSERT ON manifest_children BEGIN
    UPDATE manifests SET holders = holders + 1, idle_since = NULL, review_from = NULL, has_lost_parent = 0, released_at = NULL
    WHERE id = NEW.child_id;
END;
DROP TRIGGER child_freed;
CREATE TRIGGER child_freed AFTER DELETE ON manifest_children BEGIN
    UPDATE manifests SET holders = holders - 1 WHERE id = OLD.child_id;
    UPDATE manifests SET has_lost_parent = 1, idle_since = CAST(unixepoch('subsec') * 1000 AS INTEGER),
        review_from = CAST(unixepoch('subsec') * 1000 AS INTEGER), released_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
    WHERE id = OLD.child_id AND holders = 0;
END;
DROP TRIGGER referrer_held;
CREATE TRIGGER referrer_held AFTER UPDATE OF held_by ON manifests WHEN OLD.held_by IS NULL AND NEW.held_by IS NOT NULL BEGIN
    UPDATE manifests SET holders = holders + 1, idle_since = NULL, review_from = NULL, has_lost_parent = 0, released_at = NULL
    WHERE id = NEW.id;
END;
DROP TRIGGER referrer_freed;
CREATE TRIGGER referrer_freed AFTER UPDATE OF held_by ON manifests WHEN OLD.held_by IS NOT NULL AND NEW.held_by IS NULL BEGIN
    UPDATE manifests SET holders = holders - 1 WHERE id = NEW.id;
    UPDATE manifests SET has_lost_parent = 1, idle_since = CAST(unixepoch('subsec') * 1000 AS INTEGER),
        review_from = CAST(unixepoch('subsec') * 1000 AS INTEGER), released_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
    WHERE id = NEW.id AND holders = 0;
END;

-- Deletions that can no longer be undone, for as long as former states of tags are remembered.
-- The repository is a name, because nothing else may be left of it.
CREATE TABLE undo_ends (
    repository TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    ended_at   INTEGER NOT NULL,
    ended_by   TEXT,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX undo_ends_by_time ON undo_ends (ended_at);

-- Who opened an upload session, and from which address.
ALTER TABLE uploads ADD COLUMN started_by TEXT;
ALTER TABLE uploads ADD COLUMN started_from TEXT;
