//! What the store takes: sums for reports, which count through what they sum.

use std::path::Path;

use rusqlite::OptionalExtension;

use super::{Error, Millis, Reader};
use crate::oci::RepositoryName;

/// What a repository takes. Sizes are of blobs, in bytes, but where they say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub tags: u64,
    pub manifests: u64,
    /// Of the manifests themselves, which are in the database.
    pub manifest_bytes: u64,
    /// Each manifest with all its blobs, as if nothing were shared.
    pub logical: u64,
    /// Each blob that a manifest needs, once.
    pub deduplicated: u64,
    /// Of those, what no manifest of another repository needs.
    pub exclusive: u64,
}

/// What the whole store holds. Sizes are in bytes.
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
    /// Deleted manifests that can be brought back.
    pub trash: u64,
    /// In the database.
    pub trash_bytes: u64,
    /// Files whose blobs are gone, about to be removed.
    pub removals: u64,
    pub removal_bytes: u64,
}

/// What the database takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseSize {
    /// Of its file.
    pub file: u64,
    /// Of that, what holds nothing.
    pub free: u64,
    /// Of its log, which is copied into the file now and then and used again from its beginning.
    pub log: u64,
}

/// Bytes of blobs that nothing needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Idle {
    /// Long enough to be collected.
    pub due: u64,
    /// Not long enough yet.
    pub waiting: u64,
}

impl Reader<'_> {
    /// What nothing needs of blobs, and what nothing has needed since `cutoff`. Costs as much as there is of it.
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

    /// What a repository takes; none where there is no such repository.
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

    /// What the whole store holds. Counts through all of it: for a report, and nothing that runs by itself.
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

    /// What the database itself takes.
    pub fn database_size(&self) -> Result<DatabaseSize, Error> {
        self.query(|connection| {
            let pragma = |name: &str| {
                connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u64>(0))
            };
            let page = pragma("page_size")?;
            // no log is a short one; a page that is only in the log yet is counted twice, as it will be
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
