//! Repositories: rows created with the first thing stored under a name.

use rusqlite::{OptionalExtension, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::RepositoryId;
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::RepositoryName;

impl PointReader<'_> {
    /// Reports whether the repository holds a manifest, and so is listed.
    pub fn is_listed(&self, name: &RepositoryName) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM repositories WHERE name = ?1 AND manifests > 0")?
                .exists(params![name.as_str()])
        })
    }
}

impl Reader<'_> {
    /// Returns the repository of that name, if anything is stored or remembered of it.
    pub fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryId>, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT id FROM repositories WHERE name = ?1")?
            .query_row(params![name.as_str()], |row| row.get(0).map(RepositoryId))
            .optional()?)
    }

    /// Returns the name of a repository.
    pub fn repository_name(&self, repository: RepositoryId) -> Result<Option<String>, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT name FROM repositories WHERE id = ?1")?
            .query_row([repository.0], |row| row.get(0))
            .optional()?)
    }
}

impl WriteTx<'_> {
    /// Returns the repository of that name, creating it if absent.
    pub fn ensure_repository(
        &self,
        name: &RepositoryName,
        now: Millis,
    ) -> Result<RepositoryId, Error> {
        if let Some(found) = self.repository(name)? {
            return Ok(found);
        }
        self.connection
            .prepare_cached("INSERT INTO repositories (name, created_at) VALUES (?1, ?2)")?
            .execute(params![name.as_str(), now])?;
        Ok(RepositoryId(self.connection.last_insert_rowid()))
    }

    /// Removes a repository that has no content, no trash and no history.
    pub fn drop_empty_repository(&self, repository: RepositoryId) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "DELETE FROM repositories WHERE id = ?1 AND manifests = 0
                 AND NOT EXISTS (SELECT 1 FROM repository_blobs WHERE repository_id = ?1)
                 AND NOT EXISTS (SELECT 1 FROM trash WHERE repository_id = ?1)
                 AND NOT EXISTS (SELECT 1 FROM tag_history WHERE repository_id = ?1)",
            )?
            .execute([repository.0])?;
        Ok(())
    }
}
