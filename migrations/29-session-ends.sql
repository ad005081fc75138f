-- The ends of sessions follow from the settings in force: a row has its times alone.
DROP INDEX sessions_by_end;
ALTER TABLE sessions ADD COLUMN credential TEXT;                      -- id of the token's secret; NULL for a password
ALTER TABLE sessions ADD COLUMN used_at    INTEGER NOT NULL DEFAULT 0; -- time of the last use, within a minute or so
UPDATE sessions SET used_at = created_at;
ALTER TABLE sessions DROP COLUMN expires_at;
ALTER TABLE sessions DROP COLUMN ends_at;
CREATE INDEX sessions_by_use ON sessions (used_at);
CREATE INDEX sessions_by_begin ON sessions (created_at);
