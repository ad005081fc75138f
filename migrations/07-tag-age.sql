-- Time of the push that gave a tag its target: a restored tag keeps that of the state it went back to, and so its age.
ALTER TABLE tags ADD COLUMN pushed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tag_history ADD COLUMN pushed_at INTEGER NOT NULL DEFAULT 0;
UPDATE tags SET pushed_at = updated_at;
UPDATE tag_history SET pushed_at = since;

-- The id in tag_history of the state that a restore went back to; the next restore goes on from there.
ALTER TABLE tags ADD COLUMN restored_from INTEGER;
ALTER TABLE tag_history ADD COLUMN restored_from INTEGER;
