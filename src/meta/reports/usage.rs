//! Disk usage: sums for reports, whose cost grows with the rows that they sum.

use std::path::Path;

use rusqlite::OptionalExtension;

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::Reader;
use crate::oci::{Digest, RepositoryName};

/// Disk usage of a repository. Sizes are of blobs, in bytes, unless stated otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub tags: u64,
    pub manifests: u64,
    /// Size of the manifests themselves, in the database.
    pub manifest_bytes: u64,
    /// Size of each manifest's blobs, as if nothing were shared.
    pub logical: u64,
    /// Size of all blobs that a manifest needs, each counted once.
    pub deduplicated: u64,
    /// Size of those that no manifest of another repository needs.
    pub exclusive: u64,
}

/// Content of the whole store. Sizes are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Repositories that hold a manifest.
    pub repositories: u64,
    pub tags: u64,
    pub manifests: u64,
    /// In the database.
    pub manifest_bytes: u64,
    pub blobs: u64,
    pub blob_bytes: u64,
    /// Open sessions.
    pub uploads: u64,
    /// Deleted manifests that can be restored.
    pub trash: u64,
    /// In the database.
    pub trash_bytes: u64,
    /// Files of collected blobs, queued for removal.
    pub removals: u64,
    pub removal_bytes: u64,
}

/// Disk usage of the database, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseSize {
    /// Size of its file.
    pub file: u64,
    /// Free space within the file.
    pub free: u64,
    /// Size of its log, which is copied into the file from time to time and then reused.
    pub log: u64,
}

/// Size of unreferenced blobs, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Idle {
    /// Unreferenced long enough to be collected.
    pub due: u64,
    /// Still within the lease or grace period.
    pub waiting: u64,
}

impl Reader<'_> {
    /// Returns the size of unreferenced blobs, split by `cutoff`; the cost grows with their number.
    pub fn idle_bytes(&self, cutoff: Millis) -> Result<Idle, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT coalesce(sum(size) FILTER (WHERE since <= ?1), 0), coalesce(sum(size) FILTER (WHERE since > ?1), 0)
                     FROM (SELECT size, idle_since AS since FROM blobs WHERE idle_since IS NOT NULL
                           UNION ALL SELECT size, link.idle_since FROM repository_blobs AS link JOIN blobs ON blobs.id = link.blob_id
                           WHERE link.idle_since IS NOT NULL AND blobs.links = 1)",
                )?
                .query_row([cutoff], |row| Ok(Idle { due: row.get(0)?, waiting: row.get(1)? }))
        })
    }

    /// Returns the disk usage of a repository; `None` if it is unknown.
    pub fn usage(&self, repository: &RepositoryName) -> Result<Option<Usage>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT (SELECT count(*) FROM tags WHERE repository_id = repositories.id), manifests,
                         (SELECT coalesce(sum(size), 0) FROM manifests WHERE repository_id = repositories.id),
                         (SELECT coalesce(sum(blobs.size), 0) FROM manifests JOIN manifest_blobs ON manifest_id = manifests.id
                          JOIN blobs ON blobs.id = manifest_blobs.blob_id WHERE repository_id = repositories.id),
                         (SELECT coalesce(sum(size), 0) FROM repository_blobs AS link JOIN blobs ON blobs.id = blob_id
                          WHERE repository_id = repositories.id AND link.holders > 0),
                         (SELECT coalesce(sum(size), 0) FROM repository_blobs AS link JOIN blobs ON blobs.id = blob_id
                          WHERE repository_id = repositories.id AND link.holders > 0 AND (links = 1 OR NOT EXISTS (
                              SELECT 1 FROM repository_blobs AS other WHERE other.blob_id = blobs.id
                              AND other.repository_id <> repositories.id AND other.holders > 0)))
                     FROM repositories WHERE name = ?1",
                )?
                .query_row([repository.as_str()], |row| {
                    Ok(Usage {
                        tags: row.get(0)?,
                        manifests: row.get(1)?,
                        manifest_bytes: row.get(2)?,
                        logical: row.get(3)?,
                        deduplicated: row.get(4)?,
                        exclusive: row.get(5)?,
                    })
                })
                .optional()
        })
    }

    /// Returns the number of repositories that need a blob, and of manifests in one of them that do; `None` for an
    /// unknown blob.
    pub fn spread(
        &self,
        repository: &RepositoryName,
        blob: &Digest,
    ) -> Result<Option<(u64, u64)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT (SELECT count(*) FROM repository_blobs WHERE blob_id = blobs.id AND holders > 0),
                         coalesce((SELECT holders FROM repository_blobs WHERE blob_id = blobs.id
                                   AND repository_id = (SELECT id FROM repositories WHERE name = ?2)), 0)
                     FROM blobs WHERE digest = ?1",
                )?
                .query_row([blob.as_str(), repository.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
    }

    /// Returns the content of the whole store.
    ///
    /// Counts every row, so it is for reports and for measurements that limit themselves.
    pub fn totals(&self) -> Result<Totals, Error> {
        self.query(|connection| {
            let pair = |sql: &str| {
                connection
                    .prepare_cached(sql)?
                    .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            };
            let (manifests, manifest_bytes) =
                pair("SELECT count(*), coalesce(sum(size), 0) FROM manifests")?;
            let (blobs, blob_bytes) = pair("SELECT count(*), coalesce(sum(size), 0) FROM blobs")?;
            let (trash, trash_bytes) =
                pair("SELECT count(*), coalesce(sum(length(bytes)), 0) FROM trash")?;
            let (removals, removal_bytes) =
                pair("SELECT count(*), coalesce(sum(size), 0) FROM removals")?;
            let (tags, uploads) =
                pair("SELECT (SELECT count(*) FROM tags), (SELECT count(*) FROM uploads)")?;
            let (repositories, _): (u64, u64) =
                pair("SELECT count(*), 0 FROM repositories WHERE manifests > 0")?;
            Ok(Totals {
                repositories,
                tags,
                manifests,
                manifest_bytes,
                blobs,
                blob_bytes,
                uploads,
                trash,
                trash_bytes,
                removals,
                removal_bytes,
            })
        })
    }

    /// Returns the disk usage of the database.
    pub fn database_size(&self) -> Result<DatabaseSize, Error> {
        self.query(|connection| {
            let pragma = |name: &str| {
                connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u64>(0))
            };
            let page = pragma("page_size")?;
            // a missing log counts as empty; a page that is only in the log so far counts twice
            let log = connection
                .path()
                .and_then(|path| Path::new(&format!("{path}-wal")).metadata().ok());
            Ok(DatabaseSize {
                file: pragma("page_count")?.saturating_mul(page),
                free: pragma("freelist_count")?.saturating_mul(page),
                log: log.map_or(0, |log| log.len()),
            })
        })
    }
}
