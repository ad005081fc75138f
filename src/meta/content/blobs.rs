//! Blobs, and their links to repositories.

use rusqlite::{OptionalExtension, Row, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::{BlobId, RepositoryId};
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, RepositoryName};

/// A stored blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobRow {
    pub(in crate::meta) id: BlobId,
    /// In bytes.
    pub size: u64,
}

/// A blob that is linked to a repository.
#[derive(Clone, Copy, Debug)]
pub struct LinkRow {
    pub blob: BlobRow,
    /// Time since which no manifest of the repository needs it; `None` while one does.
    pub idle_since: Option<Millis>,
    /// True if what needed it was deleted, and no client has been told of it since.
    pub is_released: bool,
}

impl BlobRow {
    pub(in crate::meta) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: BlobId(row.get(0)?),
            size: row.get(1)?,
        })
    }
}

impl PointReader<'_> {
    /// Returns the blob if it was pushed or mounted to that repository.
    pub fn link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT blobs.id, blobs.size, link.idle_since, link.released_at IS NOT NULL FROM repositories
                     JOIN blobs ON blobs.digest = ?2
                     JOIN repository_blobs AS link ON link.repository_id = repositories.id AND link.blob_id = blobs.id
                     WHERE repositories.name = ?1",
                )?
                .query_row(params![repository.as_str(), digest.as_str()], |row| {
                    Ok(LinkRow { blob: BlobRow::read(row)?, idle_since: row.get(2)?, is_released: row.get(3)? })
                })
                .optional()
        })
    }

    /// Reports whether the database holds content, or ever had some.
    pub fn has_ever_held_content(&self) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    // collection counts the files that it removes, and a take-over says when it begins
                    "SELECT 1 WHERE EXISTS (SELECT 1 FROM blobs) OR EXISTS (SELECT 1 FROM repositories)
                     OR EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'removals')
                     OR EXISTS (SELECT 1 FROM settings WHERE name = 'takeover')",
                )?
                .exists([])
        })
    }

    /// Reports whether there is a blob.
    pub fn has_blobs(&self) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM blobs LIMIT 1")?
                .exists([])
        })
    }

    /// Reports whether any repository links to a blob of that digest.
    pub fn is_blob_linked(&self, digest: &Digest) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM blobs WHERE digest = ?1
                     AND EXISTS (SELECT 1 FROM repository_blobs WHERE blob_id = blobs.id)",
                )?
                .exists(params![digest.as_str()])
        })
    }
}

impl Reader<'_> {
    /// Returns the blob of that digest, whichever repository links to it.
    pub fn blob(&self, digest: &Digest) -> Result<Option<BlobRow>, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT id, size FROM blobs WHERE digest = ?1")?
            .query_row(params![digest.as_str()], BlobRow::read)
            .optional()?)
    }

    /// Returns the blob of that digest if the repository links to it.
    pub fn blob_in(
        &self,
        repository: RepositoryId,
        digest: &Digest,
    ) -> Result<Option<BlobRow>, Error> {
        let Some(blob) = self.blob(digest)? else {
            return Ok(None);
        };
        let is_linked = self
            .connection
            .prepare_cached(
                "SELECT 1 FROM repository_blobs WHERE repository_id = ?1 AND blob_id = ?2",
            )?
            .exists(params![repository.0, blob.id.0])?;
        Ok(is_linked.then_some(blob))
    }

    /// Reports whether a blob is stored that no manifest of any repository needs.
    pub fn is_unneeded(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT 1 FROM blobs WHERE digest = ?1
                 AND NOT EXISTS (SELECT 1 FROM repository_blobs WHERE blob_id = blobs.id AND holders > 0)",
            )?
            .exists([digest.as_str()])?)
    }
}

impl WriteTx<'_> {
    /// Records a blob. It is back wherever it was taken out because it was damaged.
    ///
    /// The caller publishes its complete file before this change commits.
    pub fn insert_blob(&self, digest: &Digest, size: u64, now: Millis) -> Result<BlobRow, Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO blobs (digest, size, created_at, idle_since) VALUES (?1, ?2, ?3, ?3)",
            )?
            .execute(params![digest.as_str(), size, now])?;
        let blob = BlobRow {
            id: BlobId(self.connection.last_insert_rowid()),
            size,
        };
        self.return_blob(digest, blob, now)?;
        Ok(blob)
    }

    /// Renews the lease of a blob that no repository links to.
    pub fn renew_blob(&self, blob: BlobRow, now: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                // max of NULL and a time is NULL: what is linked stays without one
                "UPDATE blobs SET idle_since = max(idle_since, ?2) WHERE id = ?1",
            )?
            .execute(params![blob.id.0, now])?;
        Ok(())
    }

    /// Links a blob to a repository, for at least one lease from `now`.
    ///
    /// Manifests of the repository that named the blob before it was stored get their reference.
    pub fn link_blob(
        &self,
        repository: RepositoryId,
        digest: &Digest,
        blob: BlobRow,
        now: Millis,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO repository_blobs (repository_id, blob_id, idle_since) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET idle_since = max(idle_since, excluded.idle_since), released_at = NULL
                     WHERE idle_since IS NOT NULL",
            )?
            .execute(params![repository.0, blob.id.0, now])?;
        if !self.is_missed(repository, digest)? {
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO manifest_blobs (manifest_id, blob_id, is_child)
                 SELECT manifest_id, ?3, is_child FROM absent_references WHERE repository_id = ?1 AND digest = ?2",
            )?
            .execute(params![repository.0, digest.as_str(), blob.id.0])?;
        self.forget_absent(repository, digest)
    }

    /// Renews the lease of an unreferenced blob; false if the repository no longer links to it.
    ///
    /// The blob is named by digest, because its number may have been given to another one since it was read.
    pub fn renew_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        now: Millis,
    ) -> Result<bool, Error> {
        let mut statement = self.connection.prepare_cached(
            // max of NULL and a time is NULL: what is referenced stays without one
            "UPDATE repository_blobs SET idle_since = max(idle_since, ?3), released_at = NULL
             WHERE blob_id = (SELECT id FROM blobs WHERE digest = ?2)
             AND repository_id = (SELECT id FROM repositories WHERE name = ?1)",
        )?;
        Ok(statement.execute(params![repository.as_str(), digest.as_str(), now])? > 0)
    }

    /// Renews the leases of all unreferenced links to a blob.
    pub fn renew_links(&self, blob: BlobRow, now: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                // max of NULL and a time is NULL: what is referenced stays without one
                "UPDATE repository_blobs SET idle_since = max(idle_since, ?2), released_at = NULL WHERE blob_id = ?1",
            )?
            .execute(params![blob.id.0, now])?;
        Ok(())
    }

    /// Removes a blob from a repository; other repositories keep it.
    pub fn unlink_blob(&self, repository: RepositoryId, blob: BlobRow) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "DELETE FROM repository_blobs WHERE repository_id = ?1 AND blob_id = ?2",
            )?
            .execute(params![repository.0, blob.id.0])?;
        self.drop_empty_repository(repository)
    }
}
