//! Repositories: rows created with the first thing stored under a name.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::RepositoryId;
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, RepositoryName};

/// Origin of a repository's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositorySource {
    /// Its owner and clients; no upstream changes it.
    Own,
    /// The upstream with this URL, of which it is a cache.
    Upstream(Arc<str>),
}

impl PointReader<'_> {
    /// Returns the origin of a repository's content; `None` if nothing is stored or remembered of it.
    pub fn repository_source(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<RepositorySource>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT upstream FROM repositories WHERE name = ?1")?
                .query_row(params![name.as_str()], |row| {
                    let upstream: Option<String> = row.get(0)?;
                    Ok(upstream.map_or(RepositorySource::Own, |url| {
                        RepositorySource::Upstream(url.into())
                    }))
                })
                .optional()
        })
    }

    /// Reports whether a repository that is a cache of this upstream links to a blob.
    pub fn is_cached_from(&self, upstream: &str, digest: &Digest) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM blobs JOIN repository_blobs ON blob_id = blobs.id
                     JOIN repositories ON repositories.id = repository_id WHERE digest = ?1 AND upstream = ?2",
                )?
                .exists(params![digest.as_str(), upstream])
        })
    }

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
    /// Returns the repository of that name, creating it if absent. It is one's own from now on.
    pub fn ensure_repository(
        &self,
        name: &RepositoryName,
        now: Millis,
    ) -> Result<RepositoryId, Error> {
        match self.repository_with_source(name)? {
            Some((found, None)) => Ok(found),
            Some((found, Some(_))) => {
                self.set_source(found, None)?;
                Ok(found)
            }
            None => self.create_repository(name, None, now),
        }
    }

    /// Returns the repository of that name for content of `source`; `None` if it is one's own and the content is not.
    pub fn repository_for(
        &self,
        name: &RepositoryName,
        source: &RepositorySource,
        now: Millis,
    ) -> Result<Option<RepositoryId>, Error> {
        match source {
            RepositorySource::Own => self.ensure_repository(name, now).map(Some),
            RepositorySource::Upstream(url) => self.ensure_cache(name, url, now),
        }
    }

    /// Returns the repository of that name as a cache of an upstream, creating it if absent; `None` if it is one's own.
    fn ensure_cache(
        &self,
        name: &RepositoryName,
        upstream: &str,
        now: Millis,
    ) -> Result<Option<RepositoryId>, Error> {
        match self.repository_with_source(name)? {
            Some((_, None)) => Ok(None),
            Some((found, Some(cached))) => {
                if cached != upstream {
                    self.set_source(found, Some(upstream))?;
                }
                Ok(Some(found))
            }
            None => self.create_repository(name, Some(upstream), now).map(Some),
        }
    }

    fn repository_with_source(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<(RepositoryId, Option<String>)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT id, upstream FROM repositories WHERE name = ?1")?
                .query_row(params![name.as_str()], |row| {
                    Ok((RepositoryId(row.get(0)?), row.get(1)?))
                })
                .optional()
        })
    }

    fn create_repository(
        &self,
        name: &RepositoryName,
        upstream: Option<&str>,
        now: Millis,
    ) -> Result<RepositoryId, Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO repositories (name, created_at, upstream) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![name.as_str(), now, upstream])?;
        Ok(RepositoryId(self.connection.last_insert_rowid()))
    }

    fn set_source(&self, repository: RepositoryId, upstream: Option<&str>) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE repositories SET upstream = ?2 WHERE id = ?1")?
            .execute(params![repository.0, upstream])?;
        Ok(())
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
