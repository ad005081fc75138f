-- Time of the restore that gave a tag its target: rules spare the tag for the grace period after it. NULL after a push.
ALTER TABLE tags ADD COLUMN restored_at INTEGER;

-- Uses of the tag until the state ended, so that a tag that was removed comes back with them.
ALTER TABLE tag_history ADD COLUMN pulled_at INTEGER;
ALTER TABLE tag_history ADD COLUMN checked_at INTEGER;
ALTER TABLE tag_history ADD COLUMN pulls INTEGER NOT NULL DEFAULT 0;

-- tags.is_imported: 1 if an import of a store has set the target, 2 if one of an archive or a layout has.
