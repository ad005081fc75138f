-- Blobs whose files come from the store of another registry and have not been compared with their digests yet.
-- They are served; the server reads them in the background, and takes away what is not what its digest says.
CREATE TABLE unverified_blobs (
    blob_id INTEGER PRIMARY KEY REFERENCES blobs ON DELETE CASCADE
) STRICT;
