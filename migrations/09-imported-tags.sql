-- The tag's target comes from the store of another registry, and nobody has changed the tag here since: the next import may move it.
ALTER TABLE tags ADD COLUMN is_imported INTEGER NOT NULL DEFAULT 0;
UPDATE tags SET is_imported = 1 WHERE set_by IS NULL AND set_from IS NULL
    AND EXISTS (SELECT 1 FROM settings WHERE name = 'takeover' AND value = 'complete');
