-- Children of a deleted index that were never pulled when it was kept from a cache, as a JSON array of their digests.
ALTER TABLE trash ADD COLUMN unpulled TEXT NOT NULL DEFAULT '[]';
