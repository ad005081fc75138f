-- What counts in a quota besides its blobs: manifests, as long as they can be restored too, and uploads that are not finished.
ALTER TABLE quotas ADD COLUMN manifest_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE quotas ADD COLUMN upload_bytes INTEGER NOT NULL DEFAULT 0;
-- The quota in which an upload counts; NULL in none.
ALTER TABLE uploads ADD COLUMN quota_id INTEGER;
ALTER TABLE trash ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
UPDATE trash SET size = length(bytes);
UPDATE quotas SET manifest_bytes =
    (SELECT coalesce(sum(size), 0) FROM manifests WHERE repository_id IN (SELECT id FROM repositories WHERE quota_id = quotas.id))
    + (SELECT coalesce(sum(size), 0) FROM trash WHERE repository_id IN (SELECT id FROM repositories WHERE quota_id = quotas.id));

CREATE TRIGGER quota_upload_changed AFTER UPDATE OF received, quota_id ON uploads
WHEN OLD.quota_id IS NOT NULL OR NEW.quota_id IS NOT NULL BEGIN
    UPDATE quotas SET upload_bytes = upload_bytes - coalesce(OLD.received, 0) WHERE id = OLD.quota_id;
    UPDATE quotas SET upload_bytes = upload_bytes + coalesce(NEW.received, 0) WHERE id = NEW.quota_id;
END;
CREATE TRIGGER quota_upload_deleted AFTER DELETE ON uploads WHEN OLD.quota_id IS NOT NULL BEGIN
    UPDATE quotas SET upload_bytes = upload_bytes - coalesce(OLD.received, 0) WHERE id = OLD.quota_id;
END;

CREATE TRIGGER quota_manifest_inserted AFTER INSERT ON manifests
WHEN (SELECT quota_id FROM repositories WHERE id = NEW.repository_id) IS NOT NULL BEGIN
    UPDATE quotas SET manifest_bytes = manifest_bytes + NEW.size
    WHERE id = (SELECT quota_id FROM repositories WHERE id = NEW.repository_id);
END;
CREATE TRIGGER quota_manifest_deleted AFTER DELETE ON manifests
WHEN (SELECT quota_id FROM repositories WHERE id = OLD.repository_id) IS NOT NULL BEGIN
    UPDATE quotas SET manifest_bytes = manifest_bytes - OLD.size
    WHERE id = (SELECT quota_id FROM repositories WHERE id = OLD.repository_id);
END;
CREATE TRIGGER quota_trash_inserted AFTER INSERT ON trash
WHEN (SELECT quota_id FROM repositories WHERE id = NEW.repository_id) IS NOT NULL BEGIN
    UPDATE quotas SET manifest_bytes = manifest_bytes + NEW.size
    WHERE id = (SELECT quota_id FROM repositories WHERE id = NEW.repository_id);
END;
CREATE TRIGGER quota_trash_deleted AFTER DELETE ON trash
WHEN (SELECT quota_id FROM repositories WHERE id = OLD.repository_id) IS NOT NULL BEGIN
    UPDATE quotas SET manifest_bytes = manifest_bytes - OLD.size
    WHERE id = (SELECT quota_id FROM repositories WHERE id = OLD.repository_id);
END;

-- A blob that no repository has any more counts where it was last, until its file goes: deleting makes no room at once.
CREATE INDEX quota_blobs_left ON quota_blobs (blob_id) WHERE links = 0;
DROP TRIGGER quota_link_deleted;
CREATE TRIGGER quota_link_deleted AFTER DELETE ON repository_blobs
WHEN (SELECT quota_id FROM repositories WHERE id = OLD.repository_id) IS NOT NULL BEGIN
    UPDATE quota_blobs SET links = links - 1
    WHERE quota_id = (SELECT quota_id FROM repositories WHERE id = OLD.repository_id) AND blob_id = OLD.blob_id;
    DELETE FROM quota_blobs
    WHERE quota_id = (SELECT quota_id FROM repositories WHERE id = OLD.repository_id) AND blob_id = OLD.blob_id AND links = 0
    AND EXISTS (SELECT 1 FROM repository_blobs WHERE blob_id = OLD.blob_id);
END;
CREATE TRIGGER quota_blob_taken AFTER INSERT ON repository_blobs
WHEN EXISTS (SELECT 1 FROM quota_blobs WHERE blob_id = NEW.blob_id AND links = 0) BEGIN
    DELETE FROM quota_blobs WHERE blob_id = NEW.blob_id AND links = 0;
END;
CREATE TRIGGER quota_blob_collected BEFORE DELETE ON blobs
WHEN EXISTS (SELECT 1 FROM quota_blobs WHERE blob_id = OLD.id AND links = 0) BEGIN
    DELETE FROM quota_blobs WHERE blob_id = OLD.id AND links = 0;
END;
