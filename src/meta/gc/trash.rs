//! Deleted and expired manifests, for as long as they can be restored.

use rusqlite::{OptionalExtension, Row, params};

use crate::meta::actor::{Actor, actor};
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::RepositoryId;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, Manifest, RepositoryName};

/// A deleted manifest.
#[derive(Clone, Debug)]
pub struct TrashRow {
    pub repository: String,
    pub digest: Digest,
    pub media_type: String,
    /// Size of the manifest and of the blobs that it names, as it declares them, in bytes.
    pub size: u64,
    /// Tags that were removed with it.
    pub tags: Vec<String>,
    pub deleted_at: Millis,
    pub deleted_by: Actor,
    /// Children that were never pulled when it was kept from a cache.
    pub unpulled: Vec<String>,
}

/// A tag that was removed while its manifest stayed.
#[derive(Clone, Debug)]
pub struct RemovedTagRow {
    pub repository: String,
    pub tag: String,
    pub digest: Digest,
    pub removed_at: Millis,
    pub removed_by: Actor,
}

const COLUMNS: &str = "repositories.name, digest, media_type, bytes, tags, deleted_at, deleted_by, deleted_from, unpulled";

impl Reader<'_> {
    /// Lists deleted manifests by repository and digest, after those in `after`; of one repository, if given.
    pub fn trash(
        &self,
        repository: Option<&RepositoryName>,
        after: (&str, &str),
        limit: usize,
    ) -> Result<Vec<TrashRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM repositories JOIN trash ON repository_id = repositories.id
                     WHERE (?1 IS NULL OR repositories.name = ?1)
                     AND repositories.name >= ?2 AND (repositories.name, digest) > (?2, ?3)
                     ORDER BY repositories.name, digest LIMIT ?4"
                ))?
                .query_map(params![repository.map(RepositoryName::as_str), after.0, after.1, limit], trash_row)?
                .collect()
        })
    }

    /// Lists deleted manifests of that digest, in all repositories.
    pub fn trashed_anywhere(&self, digest: &Digest, limit: usize) -> Result<Vec<TrashRow>, Error> {
        self.query(|connection| {
            connection
                // repository by repository: there is no index on digests alone
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM repositories CROSS JOIN trash ON repository_id = repositories.id AND digest = ?1
                     ORDER BY repositories.name LIMIT ?2"
                ))?
                .query_map(params![digest.as_str(), limit], trash_row)?
                .collect()
        })
    }

    /// Lists tags that were removed after `since` and are still absent, while their manifests stayed.
    ///
    /// Ordered by repository and tag, after those in `after`; of one repository, if given.
    pub fn removed_tags(
        &self,
        repository: Option<&RepositoryName>,
        since: Millis,
        after: (&str, &str),
        limit: usize,
    ) -> Result<Vec<RemovedTagRow>, Error> {
        self.query(|connection| {
            connection
                // the last of several removals of one tag
                .prepare_cached(
                    "SELECT repositories.name, tag, tag_history.digest, until, ended_by, ended_from FROM tag_history
                     JOIN repositories ON repositories.id = tag_history.repository_id
                     JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = tag_history.digest
                     WHERE until > ?2 AND is_deletion AND (?1 IS NULL OR repositories.name = ?1)
                     AND (repositories.name, tag) > (?3, ?4)
                     AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.repository_id = repositories.id AND tags.name = tag)
                     AND NOT EXISTS (SELECT 1 FROM tag_history AS later WHERE later.repository_id = repositories.id
                                     AND later.tag = tag_history.tag AND later.id > tag_history.id)
                     ORDER BY repositories.name, tag LIMIT ?5",
                )?
                .query_map(params![repository.map(RepositoryName::as_str), since, after.0, after.1, limit], |row| {
                    Ok(RemovedTagRow {
                        repository: row.get(0)?,
                        tag: row.get(1)?,
                        digest: digest(row, 2)?,
                        removed_at: row.get(3)?,
                        removed_by: actor(row, 4)?,
                    })
                })?
                .collect()
        })
    }

    /// Returns a deleted manifest of the repository, with its bytes.
    pub fn trashed(
        &self,
        repository: RepositoryId,
        digest: &Digest,
    ) -> Result<Option<(TrashRow, Vec<u8>)>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM trash JOIN repositories ON repositories.id = repository_id
             WHERE repository_id = ?1 AND digest = ?2"
        ))?;
        Ok(statement
            .query_row(params![repository.0, digest.as_str()], |row| {
                Ok((trash_row(row)?, row.get(3)?))
            })
            .optional()?)
    }

    /// Returns time and author of the last deletion of a manifest that is in the trash.
    pub fn last_deletion(
        &self,
        repository: RepositoryId,
    ) -> Result<Option<(Millis, Actor)>, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT deleted_at, deleted_by, deleted_from FROM trash WHERE repository_id = ?1
                 ORDER BY deleted_at DESC LIMIT 1",
            )?
            .query_row([repository.0], |row| Ok((row.get(0)?, actor(row, 1)?)))
            .optional()?)
    }

    /// Returns the time of the last deletion of a manifest that is in the trash, of any repository.
    pub fn last_deletion_anywhere(&self) -> Result<Option<Millis>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT max(deleted_at) FROM trash")?
                .query_row([], |row| row.get(0))
        })
    }

    /// Lists deleted manifests of the repository whose subject is `subject`.
    pub fn trashed_referrers(
        &self,
        repository: RepositoryId,
        subject: &Digest,
    ) -> Result<Vec<Digest>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT digest FROM trash WHERE repository_id = ?1 AND subject = ?2 ORDER BY digest",
        )?;
        Ok(statement
            .query_map(params![repository.0, subject.as_str()], |row| {
                digest(row, 0)
            })?
            .collect::<Result<_, _>>()?)
    }

    /// Reports whether a manifest that was deleted by `cutoff` is still in the trash, of one repository or of all.
    pub fn has_expired_trash(
        &self,
        repository: Option<RepositoryId>,
        cutoff: Millis,
    ) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT 1 FROM trash WHERE deleted_at <= ?1 AND (?2 IS NULL OR repository_id = ?2)",
            )?
            .exists(params![cutoff, repository.map(|id| id.0)])?)
    }
}

impl WriteTx<'_> {
    /// Removes manifests deleted by `cutoff` for good, oldest first, at most `limit`; returns them.
    ///
    /// Only those of one repository, if it is given. Records the end of undo, and who ended it before its time.
    pub fn empty_trash(
        &self,
        repository: Option<RepositoryId>,
        cutoff: Millis,
        limit: usize,
        by: Option<&Actor>,
        now: Millis,
    ) -> Result<Vec<(RepositoryId, Digest)>, Error> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM trash WHERE rowid IN (
                 SELECT rowid FROM trash WHERE deleted_at <= ?1 AND (?3 IS NULL OR repository_id = ?3)
                 ORDER BY deleted_at LIMIT ?2)
             RETURNING repository_id, digest",
        )?;
        let rows = statement
            .query_map(params![cutoff, limit, repository.map(|id| id.0)], |row| {
                Ok((RepositoryId(row.get(0)?), digest(row, 1)?))
            })?;
        let removed: Vec<_> = rows.collect::<Result<_, _>>()?;
        for (repository, digest) in &removed {
            self.record_undo_end(*repository, digest, by, now)?;
        }
        Ok(removed)
    }
}

fn trash_row(row: &Row<'_>) -> rusqlite::Result<TrashRow> {
    let (media_type, tags): (String, String) = (row.get(2)?, row.get(4)?);
    let unpulled: String = row.get(8)?;
    let bytes = row.get_ref(3)?.as_blob()?;
    Ok(TrashRow {
        repository: row.get(0)?,
        digest: digest(row, 1)?,
        size: size(&media_type, bytes),
        media_type,
        tags: serde_json::from_str(&tags).unwrap_or_default(),
        deleted_at: row.get(5)?,
        deleted_by: actor(row, 6)?,
        unpulled: serde_json::from_str(&unpulled).unwrap_or_default(),
    })
}

/// Declared size of a manifest with its config and layers; children of an index are separate manifests.
fn size(media_type: &str, bytes: &[u8]) -> u64 {
    let declared = Manifest::parse(Some(media_type), bytes).map_or(0, |manifest| {
        let blobs = manifest.config.iter().chain(&manifest.layers);
        blobs
            .filter_map(|blob| u64::try_from(blob.size).ok())
            .fold(0, u64::saturating_add)
    });
    declared.saturating_add(bytes.len() as u64)
}
