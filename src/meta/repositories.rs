//! Repositories: rows that come with the first thing stored under a name.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Millis, PointReader, WriteTx};
use crate::oci::RepositoryName;

/// A repository inside this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepositoryId(pub(super) i64);

impl PointReader<'_> {
    /// Whether `name` holds a manifest, which is when it is listed.
    pub fn is_listed(&self, name: &RepositoryName) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM repositories WHERE name = ?1 AND manifests > 0")?
                .exists(params![name.as_str()])
        })
    }
}

impl WriteTx<'_> {
    /// The repository of that name, if anything was ever stored in it.
    pub fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryId>, Error> {
        Ok(find(self.connection, name)?)
    }

    /// The repository of that name, made where there is none.
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
}

pub(super) fn find(
    connection: &Connection,
    name: &RepositoryName,
) -> rusqlite::Result<Option<RepositoryId>> {
    connection
        .prepare_cached("SELECT id FROM repositories WHERE name = ?1")?
        .query_row(params![name.as_str()], |row| row.get(0).map(RepositoryId))
        .optional()
}
