-- Every filter of the audit log is answered by an index alone, and one that names nothing at once.
DROP INDEX audit_by_repository;
DROP INDEX audit_by_name;
CREATE INDEX audit_by_repository ON audit (repository, id, name, action);
CREATE INDEX audit_by_name ON audit (name, id, action) WHERE name IS NOT NULL;
CREATE INDEX audit_by_name_and_action ON audit (name, action, id) WHERE action NOT IN ('push', 'tag');
CREATE INDEX audit_by_repository_and_action ON audit (repository, action, id, name) WHERE action NOT IN ('push', 'tag');
