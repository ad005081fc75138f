-- Bytes that repositories of one quota hold together: each blob once, however many of them link to it.
CREATE TABLE quotas (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    bytes       INTEGER NOT NULL DEFAULT 0,
    bytes_limit INTEGER NOT NULL
) STRICT;
CREATE TABLE quota_blobs (
    quota_id INTEGER NOT NULL REFERENCES quotas,
    blob_id  INTEGER NOT NULL,
    links    INTEGER NOT NULL,
    PRIMARY KEY (quota_id, blob_id)
) STRICT, WITHOUT ROWID;
-- The quota that a repository falls under, as the server's configuration says; NULL without one.
ALTER TABLE repositories ADD COLUMN quota_id INTEGER;
CREATE INDEX repositories_by_quota ON repositories (quota_id) WHERE quota_id IS NOT NULL;

CREATE TRIGGER quota_blob_inserted AFTER INSERT ON quota_blobs BEGIN
    UPDATE quotas SET bytes = bytes + (SELECT size FROM blobs WHERE id = NEW.blob_id) WHERE id = NEW.quota_id;
END;
CREATE TRIGGER quota_blob_deleted AFTER DELETE ON quota_blobs BEGIN
    UPDATE quotas SET bytes = bytes - (SELECT size FROM blobs WHERE id = OLD.blob_id) WHERE id = OLD.quota_id;
END;
CREATE TRIGGER quota_link_inserted AFTER INSERT ON repository_blobs
WHEN (SELECT quota_id FROM repositories WHERE id = NEW.repository_id) IS NOT NULL BEGIN
    UPDATE quota_blobs SET links = links + 1
    WHERE quota_id = (SELECT quota_id FROM repositories WHERE id = NEW.repository_id) AND blob_id = NEW.blob_id;
    INSERT INTO quota_blobs (quota_id, blob_id, links)
    SELECT quota_id, NEW.blob_id, 1 FROM repositories WHERE id = NEW.repository_id
    AND NOT EXISTS (SELECT 1 FROM quota_blobs WHERE quota_blobs.quota_id = repositories.quota_id AND blob_id = NEW.blob_id);
END;
CREATE TRIGGER quota_link_deleted AFTER DELETE ON repository_blobs
WHEN (SELECT quota_id FROM repositories WHERE id = OLD.repository_id) IS NOT NULL BEGIN
    UPDATE quota_blobs SET links = links - 1
    WHERE quota_id = (SELECT quota_id FROM repositories WHERE id = OLD.repository_id) AND blob_id = OLD.blob_id;
    DELETE FROM quota_blobs
    WHERE quota_id = (SELECT quota_id FROM repositories WHERE id = OLD.repository_id) AND blob_id = OLD.blob_id AND links = 0;
END;
-- A blob that was damaged may get another size.
CREATE TRIGGER quota_blob_resized AFTER UPDATE OF size ON blobs WHEN OLD.size <> NEW.size BEGIN
    UPDATE quotas SET bytes = bytes + NEW.size - OLD.size
    WHERE id IN (SELECT quota_id FROM quota_blobs WHERE blob_id = NEW.id);
END;
