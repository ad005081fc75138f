-- Time since which the upstream of a cached tag does not have it any more; NULL if it does. Such images are not evicted.
ALTER TABLE tags ADD COLUMN gone_at INTEGER;
CREATE INDEX tags_gone ON tags (repository_id, name) WHERE gone_at IS NOT NULL;
