-- Every fact of the registry but the bytes of its blobs.
-- Digests, names and tags are text at the edges; rows refer to each other by integer.
-- Times are milliseconds since 1970, sizes are bytes.

-- A repository comes with the first thing stored in it.
CREATE TABLE repositories (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    manifests  INTEGER NOT NULL DEFAULT 0,  -- kept by the triggers below
    created_at INTEGER NOT NULL
) STRICT;

-- The catalogue lists what holds a manifest; a page of it must not step over what does not.
CREATE INDEX repositories_listed ON repositories (name) WHERE manifests > 0;

-- A row here promises a complete, synced file of this digest.
CREATE TABLE blobs (
    id         INTEGER PRIMARY KEY,
    digest     TEXT    NOT NULL UNIQUE,
    size       INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- What a repository may show: the blobs that were pushed or mounted to it.
CREATE TABLE repository_blobs (
    repository_id INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE,
    blob_id       INTEGER NOT NULL REFERENCES blobs,
    PRIMARY KEY (repository_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX repository_blobs_by_blob ON repository_blobs (blob_id);

CREATE TABLE manifests (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE,
    digest        TEXT    NOT NULL,
    media_type    TEXT    NOT NULL,
    artifact_type TEXT,
    subject       TEXT,              -- a digest; what it names may come later or never
    size          INTEGER NOT NULL,
    pushed_at     INTEGER NOT NULL,
    UNIQUE (repository_id, digest)
) STRICT;
CREATE INDEX manifests_by_subject ON manifests (repository_id, subject, digest) WHERE subject IS NOT NULL;

-- Apart from the row above, so that what scans rows does not read bytes.
CREATE TABLE manifest_bytes (
    manifest_id INTEGER PRIMARY KEY REFERENCES manifests ON DELETE CASCADE,
    bytes       BLOB NOT NULL
) STRICT;

-- Config, layers, and children of an index that are blobs.
CREATE TABLE manifest_blobs (
    manifest_id INTEGER NOT NULL REFERENCES manifests ON DELETE CASCADE,
    blob_id     INTEGER NOT NULL REFERENCES blobs,
    is_child    INTEGER NOT NULL,  -- an index names it: should it be pushed as a manifest too, it is held as one as well
    PRIMARY KEY (manifest_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_blobs_by_blob ON manifest_blobs (blob_id);

-- Children of an index that are manifests.
CREATE TABLE manifest_children (
    parent_id INTEGER NOT NULL REFERENCES manifests ON DELETE CASCADE,
    child_id  INTEGER NOT NULL REFERENCES manifests,
    PRIMARY KEY (parent_id, child_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_children_by_child ON manifest_children (child_id);

-- What a manifest names but the repository does not hold: foreign layers, and the gaps of sparse manifests.
-- A later push of such a digest turns the row into one of the two above.
CREATE TABLE absent_references (
    repository_id INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE,
    digest        TEXT    NOT NULL,
    manifest_id   INTEGER NOT NULL REFERENCES manifests ON DELETE CASCADE,
    is_child      INTEGER NOT NULL,
    PRIMARY KEY (repository_id, digest, manifest_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX absent_references_by_manifest ON absent_references (manifest_id);

CREATE TABLE tags (
    repository_id INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    manifest_id   INTEGER NOT NULL REFERENCES manifests ON DELETE CASCADE,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (repository_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_manifest ON tags (manifest_id);

-- Open upload sessions. The bytes received so far are a file of the same id; its length is the offset.
-- The repository is a name, because an upload that is never finished makes no repository.
CREATE TABLE uploads (
    id         TEXT PRIMARY KEY,
    repository TEXT    NOT NULL,
    algorithm  TEXT    NOT NULL,  -- of the digest expected, as far as the client has said
    started_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_expiry ON uploads (expires_at);

CREATE TRIGGER manifest_inserted AFTER INSERT ON manifests BEGIN
    UPDATE repositories SET manifests = manifests + 1 WHERE id = NEW.repository_id;
END;
CREATE TRIGGER manifest_deleted AFTER DELETE ON manifests BEGIN
    UPDATE repositories SET manifests = manifests - 1 WHERE id = OLD.repository_id;
END;
