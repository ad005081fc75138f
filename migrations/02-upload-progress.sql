-- How much of an upload is acknowledged, in bytes: after a power failure its file may be longer, and what is beyond this is
-- anything. None where the session was opened before this was kept: its file's length counts.
ALTER TABLE uploads ADD COLUMN received INTEGER;
