-- State of an upload's hash after its first `received` bytes, so that the file need not be read back after a restart.
-- NULL if the hash implementation cannot save its state; a state that cannot be used is ignored, and the file read.
ALTER TABLE uploads ADD COLUMN hash_state BLOB;
