-- Logins to the page. What browsers send is known by its hash alone. They are left out of backups.
CREATE TABLE sessions (
    hash       BLOB    PRIMARY KEY,  -- SHA-256 of the cookie
    owner      TEXT    NOT NULL,     -- name of the login
    proof      TEXT    NOT NULL,     -- what the credentials proved, to be judged with each request
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,     -- end without further use
    ends_at    INTEGER NOT NULL      -- end in any case
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_owner ON sessions (owner, created_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);
