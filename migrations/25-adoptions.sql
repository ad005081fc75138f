-- Registries that are being moved here while clients use them. The name is the prefix, or '' where repositories keep their names.
CREATE TABLE adoptions (
    name         TEXT    PRIMARY KEY,
    url          TEXT    NOT NULL,
    allow        TEXT    NOT NULL,             -- globs of repositories there, as JSON
    pass         INTEGER NOT NULL DEFAULT 1,   -- walk through all repositories that is under way
    listed       INTEGER NOT NULL DEFAULT 0,   -- last walk for which they were listed
    has_news     INTEGER NOT NULL DEFAULT 0,   -- this walk has brought something
    failed_at    INTEGER,
    failure      TEXT,                         -- what keeps the walk from going on
    completed_at INTEGER
) STRICT, WITHOUT ROWID;

-- Repositories of these, by their names here.
CREATE TABLE adopted_repositories (
    adoption      TEXT    NOT NULL REFERENCES adoptions ON DELETE CASCADE,
    repository    TEXT    NOT NULL,
    pass          INTEGER NOT NULL DEFAULT 0,  -- last walk that has read it whole
    tags          INTEGER NOT NULL DEFAULT 0,  -- there
    missing_tags  INTEGER NOT NULL DEFAULT 0,
    missing_bytes INTEGER NOT NULL DEFAULT 0,  -- of blobs that did not come
    PRIMARY KEY (adoption, repository)
) STRICT, WITHOUT ROWID;

-- What their last walk could not bring, and why.
CREATE TABLE adoption_problems (
    adoption   TEXT NOT NULL,
    repository TEXT NOT NULL,
    place      TEXT NOT NULL,
    problem    TEXT NOT NULL,
    PRIMARY KEY (adoption, repository, place),
    FOREIGN KEY (adoption, repository) REFERENCES adopted_repositories ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What was deleted here meanwhile, and does not come again: a digest, a tag as ':TAG', or '' for a whole repository.
CREATE TABLE adoption_deletions (
    repository TEXT NOT NULL,
    item       TEXT NOT NULL,
    PRIMARY KEY (repository, item)
) STRICT, WITHOUT ROWID;
