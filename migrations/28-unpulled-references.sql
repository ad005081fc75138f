-- 1 for a child that was never pulled when its index was kept from a cache: its absence is no damage.
ALTER TABLE absent_references ADD COLUMN is_unpulled INTEGER NOT NULL DEFAULT 0;
