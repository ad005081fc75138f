-- Time of the last HEAD of a manifest, or of a GET answered with 304: the client has it already, and so uses it.
ALTER TABLE manifests ADD COLUMN checked_at INTEGER;
ALTER TABLE tags ADD COLUMN checked_at INTEGER;

-- An index or a subject, rather than a tag, was the last to hold the manifest.
ALTER TABLE manifests RENAME COLUMN is_freed TO has_lost_parent;

-- The rule for untagged manifests has another name, and 0 s in place of "never".
UPDATE settings SET value = replace(replace(value,
    '"untagged":"Never"', '"keep_untagged":{"For":{"secs":0,"nanos":0}}'),
    '"untagged":', '"keep_untagged":')
WHERE name = 'retention';
