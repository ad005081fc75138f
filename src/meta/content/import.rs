//! Content taken over from the files of another registry.
//!
//! Its blobs come without having been read. Until they are, they are recorded as unverified.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, params};

use crate::meta::clock::Millis;
use crate::meta::content::blobs::BlobRow;
use crate::meta::content::tags::TagSource;
use crate::meta::error::Error;
use crate::meta::ids::{BlobId, ManifestId, RepositoryId};
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, RepositoryName, TagName};

const TAKE_OVER: &str = "takeover";

/// State of taking over the store that another registry keeps in the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// Nothing has ever been recorded in this database.
    Unused,
    /// Begun, and not yet complete.
    Begun,
    Complete,
    /// The database has content of its own, and nothing was taken over.
    Declined,
}

impl TakeOver {
    fn word(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::Begun => "begun",
            Self::Complete => "complete",
            Self::Declined => "declined",
        }
    }
}

/// A blob whose content has not been compared with its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedBlob {
    pub id: BlobId,
    pub digest: Digest,
}

/// A former target of a tag.
#[derive(Clone, Copy, Debug)]
pub struct FormerTarget {
    pub manifest: ManifestId,
    pub since: Millis,
    pub until: Millis,
}

/// Memory of a tag, beside a target that another registry has.
#[derive(Clone, Debug, Default)]
pub struct TagMemory {
    /// Its target, and what has set it.
    pub current: Option<(Digest, TagSource)>,
    /// True if it had another target before, or was removed.
    pub has_past: bool,
    /// True if the other registry's target is one that it had before.
    pub had_target: bool,
}

impl Reader<'_> {
    /// Returns the digests of a repository's blobs.
    pub fn blob_digests(&self, repository: &RepositoryName) -> Result<HashSet<Digest>, Error> {
        self.digests(
            "SELECT blobs.digest FROM repositories JOIN repository_blobs ON repository_id = repositories.id
             JOIN blobs ON blobs.id = blob_id WHERE repositories.name = ?1",
            repository,
        )
    }

    /// Returns the digests of a repository's manifests that are not damaged and have no gap, and whose children are so, too.
    pub fn whole_manifest_digests(
        &self,
        repository: &RepositoryName,
    ) -> Result<HashSet<Digest>, Error> {
        self.digests(
            "WITH RECURSIVE repository (id) AS (SELECT id FROM repositories WHERE name = ?1),
             lacking (id) AS (
                 SELECT manifest_id FROM absent_references WHERE repository_id = (SELECT id FROM repository)
                 UNION SELECT id FROM manifests WHERE repository_id = (SELECT id FROM repository) AND damage IS NOT NULL
                 UNION SELECT parent_id FROM lacking JOIN manifest_children ON child_id = lacking.id)
             SELECT digest FROM manifests WHERE repository_id = (SELECT id FROM repository)
             AND id NOT IN (SELECT id FROM lacking)",
            repository,
        )
    }

    /// Returns the digests of a repository's manifests that are damaged.
    pub fn damaged_manifest_digests(
        &self,
        repository: &RepositoryName,
    ) -> Result<HashSet<Digest>, Error> {
        self.digests(
            "SELECT manifests.digest FROM repositories JOIN manifests ON repository_id = repositories.id
             WHERE repositories.name = ?1 AND damage IS NOT NULL",
            repository,
        )
    }

    fn digests(&self, sql: &str, repository: &RepositoryName) -> Result<HashSet<Digest>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(sql)?
                .query_map([repository.as_str()], |row| digest(row, 0))?
                .collect()
        })
    }

    /// Returns the bytes of a manifest, whichever repository has it.
    pub fn manifest_anywhere(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        self.query(|connection| {
            // repository by repository: there is no index on digests of manifests alone
            connection
                .prepare_cached(
                    "SELECT bytes FROM repositories CROSS JOIN manifests
                     ON repository_id = repositories.id AND manifests.digest = ?1 AND damage IS NULL
                     JOIN manifest_bytes ON manifest_bytes.manifest_id = manifests.id LIMIT 1",
                )?
                .query_row([digest.as_str()], |row| row.get(0))
                .optional()
        })
    }

    /// Returns what is remembered of a tag that another registry points at `target`.
    pub fn tag_memory(
        &self,
        repository: &RepositoryName,
        tag: &TagName,
        target: &Digest,
    ) -> Result<TagMemory, Error> {
        self.query(|connection| {
            let current = connection
                .prepare_cached(
                    "SELECT manifests.digest, is_imported FROM repositories
                     JOIN tags ON tags.repository_id = repositories.id AND tags.name = ?2
                     JOIN manifests ON manifests.id = manifest_id WHERE repositories.name = ?1",
                )?
                .query_row([repository.as_str(), tag.as_str()], |row| {
                    Ok((digest(row, 0)?, TagSource::of(row.get(1)?)))
                })
                .optional()?;
            let mut past = connection.prepare_cached(
                "SELECT 1 FROM repositories JOIN tag_history ON repository_id = repositories.id
                 WHERE repositories.name = ?1 AND tag = ?2 AND (?3 IS NULL OR digest = ?3)",
            )?;
            Ok(TagMemory {
                current,
                has_past: past.exists(params![repository.as_str(), tag.as_str(), None::<&str>])?,
                had_target: past.exists(params![
                    repository.as_str(),
                    tag.as_str(),
                    target.as_str()
                ])?,
            })
        })
    }

    /// Returns how far the take-over of another registry's store is.
    pub fn take_over(&self) -> Result<TakeOver, Error> {
        self.query(|connection| {
            let recorded = connection
                .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
                .query_row([TAKE_OVER], |row| row.get::<_, String>(0))
                .optional()?;
            if let Some(word) = recorded {
                let known = [TakeOver::Begun, TakeOver::Complete];
                let found = known.into_iter().find(|state| state.word() == word);
                return Ok(found.unwrap_or(TakeOver::Declined));
            }
            let is_used = connection
                .prepare_cached(
                    "SELECT 1 WHERE EXISTS (SELECT 1 FROM settings WHERE name NOT IN ('probe', 'server sections'))
                     OR EXISTS (SELECT 1 FROM repositories) OR EXISTS (SELECT 1 FROM uploads)",
                )?
                .exists([])?;
            Ok(if is_used {
                TakeOver::Declined
            } else {
                TakeOver::Unused
            })
        })
    }

    /// Lists unverified blobs after `after`, at most `limit`.
    pub fn unverified_blobs(
        &self,
        after: Option<BlobId>,
        limit: usize,
    ) -> Result<Vec<UnverifiedBlob>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT blob_id, digest FROM unverified_blobs JOIN blobs ON blobs.id = blob_id
                     WHERE blob_id > ?1 ORDER BY blob_id LIMIT ?2",
                )?
                .query_map(params![after.map_or(0, |id| id.0), limit], |row| {
                    Ok(UnverifiedBlob {
                        id: BlobId(row.get(0)?),
                        digest: digest(row, 1)?,
                    })
                })?
                .collect()
        })
    }

    /// Reports whether a repository shows a blob.
    pub fn is_shown(&self, blob: &Digest) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM blobs JOIN repository_blobs ON blob_id = blobs.id WHERE digest = ?1 LIMIT 1",
                )?
                .exists([blob.as_str()])
        })
    }

    /// Reports whether a blob's content has not been compared with its digest.
    pub fn is_unverified(&self, blob: BlobRow) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM unverified_blobs WHERE blob_id = ?1")?
            .exists([blob.id.0])?)
    }
}

impl WriteTx<'_> {
    /// Records how far the take-over is.
    pub fn set_take_over(&self, state: TakeOver) -> Result<(), Error> {
        self.set_setting(TAKE_OVER, state.word()).map(drop)
    }

    /// Records a blob whose content is not known to be what its digest says.
    ///
    /// As with [`Self::insert_blob`], its complete file is published before this change commits.
    pub fn insert_unverified_blob(
        &self,
        digest: &Digest,
        size: u64,
        now: Millis,
    ) -> Result<BlobRow, Error> {
        let blob = self.insert_blob(digest, size, now)?;
        self.connection
            .prepare_cached("INSERT INTO unverified_blobs (blob_id) VALUES (?1)")?
            .execute([blob.id.0])?;
        Ok(blob)
    }

    /// Records that a blob may not be what its digest says, so that the next push replaces it.
    pub fn suspect_blob(&self, digest: &Digest) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO unverified_blobs (blob_id) SELECT id FROM blobs WHERE digest = ?1",
            )?
            .execute([digest.as_str()])?;
        Ok(())
    }

    /// Records that a blob's file has `size` bytes and the content that its digest says.
    pub fn confirm_blob(&self, blob: BlobRow, size: u64) -> Result<BlobRow, Error> {
        self.connection
            .prepare_cached("DELETE FROM unverified_blobs WHERE blob_id = ?1")?
            .execute([blob.id.0])?;
        if blob.size != size {
            self.connection
                .prepare_cached("UPDATE blobs SET size = ?2 WHERE id = ?1")?
                .execute(params![blob.id.0, size])?;
        }
        Ok(BlobRow { size, ..blob })
    }

    /// Records that a blob's file was replaced by one with `size` bytes and the content that its digest says.
    ///
    /// Backups know by the time that theirs may be another one.
    pub fn replace_blob(&self, blob: BlobRow, size: u64, now: Millis) -> Result<BlobRow, Error> {
        self.connection
            .prepare_cached("UPDATE blobs SET created_at = max(created_at + 1, ?2) WHERE id = ?1")?
            .execute(params![blob.id.0, now])?;
        self.confirm_blob(blob, size)
    }

    /// Replaces the time when a manifest was pushed.
    pub fn set_pushed_at(&self, manifest: ManifestId, pushed_at: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE manifests SET pushed_at = ?2 WHERE id = ?1")?
            .execute(params![manifest.0, pushed_at])?;
        Ok(())
    }

    /// Records a target that a tag had before.
    ///
    /// States are listed in the order in which they are recorded: the oldest comes first.
    pub fn add_former_target(
        &self,
        repository: RepositoryId,
        tag: &TagName,
        former: FormerTarget,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO tag_history (repository_id, tag, digest, media_type, size, since, until, is_deletion, pushed_at)
                 SELECT ?1, ?2, digest, media_type, size, ?4, ?5, 0, ?4 FROM manifests WHERE id = ?3",
            )?
            .execute(params![
                repository.0,
                tag.as_str(),
                former.manifest.0,
                former.since,
                former.until
            ])?;
        Ok(())
    }
}
