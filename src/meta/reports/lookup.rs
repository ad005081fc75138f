//! Look-ups of names and digests that people type in part.

use rusqlite::params;

use crate::meta::error::Error;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::oci::{Digest, RepositoryName};

impl Reader<'_> {
    /// Reports whether anything is stored or remembered of a repository, or of one below it.
    pub fn is_known_below(&self, name: &str) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM repositories WHERE name = ?1 OR (name > ?1 || '/' AND name < ?1 || '0') LIMIT 1",
                )?
                .exists([name])
        })
    }

    /// Lists digests of a repository's manifests, deleted ones included, that begin with `prefix`; at most `limit`.
    pub fn digests_in(
        &self,
        repository: &RepositoryName,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<Digest>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "WITH repository AS (SELECT id FROM repositories WHERE name = ?1)
                     SELECT digest FROM manifests
                     WHERE repository_id = (SELECT id FROM repository) AND digest >= ?2 AND digest < ?2 || 'g'
                     UNION SELECT digest FROM trash
                     WHERE repository_id = (SELECT id FROM repository) AND digest >= ?2 AND digest < ?2 || 'g'
                     LIMIT ?3",
                )?
                .query_map(params![repository.as_str(), prefix, limit], |row| digest(row, 0))?
                .collect()
        })
    }

    /// Lists digests of blobs and manifests anywhere that begin with `prefix`, deleted ones included; at most `limit`.
    pub fn digests_anywhere(&self, prefix: &str, limit: usize) -> Result<Vec<Digest>, Error> {
        self.query(|connection| {
            // repository by repository: there is no index on digests of manifests alone
            connection
                .prepare_cached(
                    "SELECT digest FROM blobs WHERE digest >= ?1 AND digest < ?1 || 'g'
                     UNION SELECT manifests.digest FROM repositories CROSS JOIN manifests
                     ON repository_id = repositories.id AND manifests.digest >= ?1 AND manifests.digest < ?1 || 'g'
                     UNION SELECT trash.digest FROM repositories CROSS JOIN trash
                     ON repository_id = repositories.id AND trash.digest >= ?1 AND trash.digest < ?1 || 'g'
                     UNION SELECT digest FROM removals WHERE digest >= ?1 AND digest < ?1 || 'g'
                     LIMIT ?2",
                )?
                .query_map(params![prefix, limit], |row| digest(row, 0))?
                .collect()
        })
    }
}
