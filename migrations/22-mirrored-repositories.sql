-- The upstream that a repository was cached from; NULL for one of one's own, whose tags no upstream moves.
ALTER TABLE repositories ADD COLUMN upstream TEXT;
CREATE INDEX repositories_by_upstream ON repositories (upstream) WHERE upstream IS NOT NULL;
-- Caches are known by that; the prefixes that a server recorded are not needed.
DELETE FROM settings WHERE name = 'gap rules';
