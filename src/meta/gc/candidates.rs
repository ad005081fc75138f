//! Candidates for collection, and their removal.
//!
//! Every query reads a partial index over what is unreferenced, so its cost grows with what there is to collect. Every
//! removal checks again, in its own transaction, that the candidate is still due.

use rusqlite::{OptionalExtension, Row, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::{BlobId, Cursor, ManifestId, RepositoryId};
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::Digest;

/// An unreferenced manifest.
#[derive(Clone, Debug)]
pub struct IdleManifest {
    pub id: ManifestId,
    pub repository: String,
    pub digest: Digest,
    /// Of the manifest alone, in bytes.
    pub size: u64,
    pub idle_since: Millis,
    pub pulled_at: Option<Millis>,
    pub checked_at: Option<Millis>,
    /// True if an index or a subject was the last to hold it.
    pub has_lost_parent: bool,
    /// Time at which its last holder was deleted, unless a client has been told of it since.
    pub released_at: Option<Millis>,
}

/// A link to a blob that none of the repository's manifests needs.
#[derive(Clone, Debug)]
pub struct IdleLink {
    pub(super) repository: RepositoryId,
    pub blob: BlobId,
    pub name: String,
    pub digest: Digest,
    /// Of the blob, in bytes.
    pub size: u64,
    /// Repositories that link to the blob.
    pub links: u64,
    pub idle_since: Millis,
    /// True if what needed it was deleted, and no client has been told of it since.
    pub is_released: bool,
}

/// A blob that no repository links to.
#[derive(Clone, Debug)]
pub struct IdleBlob {
    id: BlobId,
    pub digest: Digest,
    pub size: u64,
    pub idle_since: Millis,
}

/// Numbers of candidates for collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DueCounts {
    pub manifests: u64,
    /// References from those manifests to blobs.
    pub references: u64,
    pub links: u64,
    pub blobs: u64,
    /// Files to be removed.
    pub removals: u64,
}

/// Columns of an unreferenced manifest.
pub(super) const IDLE_MANIFEST: &str = "manifests.id, repositories.name, digest, size, idle_since, pulled_at, checked_at, has_lost_parent, released_at";
/// Columns of an unreferenced link, from `repository_blobs AS link`, `repositories` and `blobs`.
pub(super) const IDLE_LINK: &str =
    "repository_id, blob_id, name, digest, size, link.idle_since, links, released_at IS NOT NULL";

impl Reader<'_> {
    /// Lists manifests unreferenced since `cutoff`, without those that a rule deferred beyond `deferred_to`.
    pub fn idle_manifests(
        &self,
        cutoff: Millis,
        deferred_to: Millis,
        after: Cursor,
        limit: usize,
    ) -> Result<Vec<(Cursor, IdleManifest)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {IDLE_MANIFEST}, review_from FROM manifests JOIN repositories ON repositories.id = repository_id
                     WHERE review_from <= ?1 AND (review_from, manifests.id) > (?2, ?3) AND idle_since <= ?4
                     ORDER BY review_from, manifests.id LIMIT ?5"
                ))?
                .query_map(params![deferred_to, after.time, after.number, cutoff, limit], |row| {
                    let manifest = idle_manifest(row)?;
                    Ok((Cursor::after(row.get(9)?, manifest.id.0), manifest))
                })?
                .collect()
        })
    }

    /// Lists links unreferenced since `cutoff`.
    pub fn idle_links(
        &self,
        cutoff: Millis,
        after: Cursor,
        limit: usize,
    ) -> Result<Vec<(Cursor, IdleLink)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {IDLE_LINK} FROM repository_blobs AS link
                     JOIN repositories ON repositories.id = repository_id JOIN blobs ON blobs.id = blob_id
                     WHERE link.idle_since <= ?1 AND (link.idle_since, repository_id, blob_id) > (?2, ?3, ?4)
                     ORDER BY link.idle_since, repository_id, blob_id LIMIT ?5"
                ))?
                .query_map(params![cutoff, after.time, after.number, after.second, limit], idle_link)?
                .collect()
        })
    }

    /// Lists blobs that no repository has linked to since `cutoff`.
    pub fn idle_blobs(
        &self,
        cutoff: Millis,
        after: Cursor,
        limit: usize,
    ) -> Result<Vec<(Cursor, IdleBlob)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, digest, size, idle_since FROM blobs WHERE idle_since <= ?1 AND (idle_since, id) > (?2, ?3)
                     ORDER BY idle_since, id LIMIT ?4",
                )?
                .query_map(params![cutoff, after.time, after.number, limit], |row| {
                    let blob = IdleBlob { id: BlobId(row.get(0)?), digest: digest(row, 1)?, size: row.get(2)?, idle_since: row.get(3)? };
                    Ok((Cursor::after(blob.idle_since, blob.id.0), blob))
                })?
                .collect()
        })
    }

    /// Counts everything unreferenced since `cutoff`, manifests as [`Self::idle_manifests`] lists them.
    pub fn count_due(&self, cutoff: Millis, deferred_to: Millis) -> Result<DueCounts, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT (SELECT count(*) FROM manifests WHERE review_from <= ?2 AND idle_since <= ?1),
                         (SELECT count(*) FROM manifests JOIN manifest_blobs ON manifest_id = manifests.id
                          WHERE review_from <= ?2 AND idle_since <= ?1),
                         (SELECT count(*) FROM repository_blobs WHERE idle_since <= ?1),
                         (SELECT count(*) FROM blobs WHERE idle_since <= ?1),
                         (SELECT count(*) FROM removals)",
                )?
                .query_row(params![cutoff, deferred_to], |row| {
                    Ok(DueCounts {
                        manifests: row.get(0)?,
                        references: row.get(1)?,
                        links: row.get(2)?,
                        blobs: row.get(3)?,
                        removals: row.get(4)?,
                    })
                })
        })
    }

    /// True if a manifest's subject is present and kept by a tag other than through the manifest itself.
    ///
    /// The manifest is then kept as well, although its subject does not hold it.
    pub fn has_tagged_subject(&self, manifest: ManifestId) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "WITH RECURSIVE above (id) AS (
                     SELECT subject.id FROM manifests AS it
                     JOIN manifests AS subject ON subject.repository_id = it.repository_id AND subject.digest = it.subject
                     WHERE it.id = ?1
                     UNION SELECT parent_id FROM above JOIN manifest_children ON child_id = above.id WHERE parent_id <> ?1
                     UNION SELECT held_by FROM above JOIN manifests ON manifests.id = above.id WHERE held_by IS NOT NULL AND held_by <> ?1
                 ) SELECT 1 FROM above WHERE EXISTS (SELECT 1 FROM tags WHERE manifest_id = above.id)",
            )?
            .exists([manifest.0])?)
    }

    /// Returns the manifest if it is unreferenced.
    pub fn idle_manifest(&self, manifest: ManifestId) -> Result<Option<IdleManifest>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {IDLE_MANIFEST} FROM manifests JOIN repositories ON repositories.id = repository_id
             WHERE manifests.id = ?1 AND holders = 0 AND idle_since IS NOT NULL"
        ))?;
        Ok(statement
            .query_row([manifest.0], idle_manifest)
            .optional()?)
    }
}

impl WriteTx<'_> {
    /// Hides a manifest from collection until the cutoff has passed `review_from`.
    pub fn defer_review(&self, manifest: ManifestId, review_from: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE manifests SET review_from = ?2 WHERE id = ?1 AND review_from IS NOT NULL",
            )?
            .execute(params![manifest.0, review_from])?;
        Ok(())
    }

    /// Removes a blob from a repository if it is still unreferenced since `cutoff`; false if it is not.
    pub fn delete_idle_link(&self, link: &IdleLink, cutoff: Millis) -> Result<bool, Error> {
        let removed = self
            .connection
            .prepare_cached("DELETE FROM repository_blobs WHERE repository_id = ?1 AND blob_id = ?2 AND holders = 0 AND idle_since <= ?3")?
            .execute(params![link.repository.0, link.blob.0, cutoff])?;
        if removed > 0 {
            self.drop_empty_repository(link.repository)?;
        }
        Ok(removed > 0)
    }

    /// Removes a blob and queues its file for removal, if no repository has linked to it since `cutoff`; else false.
    pub fn delete_idle_blob(&self, blob: &IdleBlob, cutoff: Millis) -> Result<bool, Error> {
        let removed = self
            .connection
            // by its digest as well: its number may have been given to another blob by now
            .prepare_cached("DELETE FROM blobs WHERE id = ?1 AND digest = ?3 AND links = 0 AND idle_since <= ?2")?
            .execute(params![blob.id.0, cutoff, blob.digest.as_str()])?;
        if removed > 0 {
            self.connection
                .prepare_cached("INSERT INTO removals (digest, size) VALUES (?1, ?2)")?
                .execute(params![blob.digest.as_str(), blob.size])?;
        }
        Ok(removed > 0)
    }
}

/// Reads a link from the columns [`IDLE_LINK`], with the position after it.
pub(super) fn idle_link(row: &Row<'_>) -> rusqlite::Result<(Cursor, IdleLink)> {
    let link = IdleLink {
        repository: RepositoryId(row.get(0)?),
        blob: BlobId(row.get(1)?),
        name: row.get(2)?,
        digest: digest(row, 3)?,
        size: row.get(4)?,
        idle_since: row.get(5)?,
        links: row.get(6)?,
        is_released: row.get(7)?,
    };
    let cursor = Cursor {
        time: link.idle_since,
        number: link.repository.0,
        second: link.blob.0,
    };
    Ok((cursor, link))
}

/// Reads a manifest from the columns [`IDLE_MANIFEST`].
pub(super) fn idle_manifest(row: &Row<'_>) -> rusqlite::Result<IdleManifest> {
    Ok(IdleManifest {
        id: ManifestId(row.get(0)?),
        repository: row.get(1)?,
        digest: digest(row, 2)?,
        size: row.get(3)?,
        idle_since: row.get(4)?,
        pulled_at: row.get(5)?,
        checked_at: row.get(6)?,
        has_lost_parent: row.get(7)?,
        released_at: row.get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::sqlite::connection::open_writer;
    use crate::meta::sqlite::writer::Contention;

    /// Two collectors find a blob. The first removes it, and another blob gets its number before the second acts.
    #[test]
    fn a_blob_with_a_reused_number_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let connection = open_writer(&directory.path().join("registry.db")).unwrap();
        let listened = Default::default();
        let tx = WriteTx::new(&connection, Contention::Idle, &listened);
        let insert = |letter: &str| {
            let sql = "INSERT INTO blobs (id, digest, size, created_at, idle_since) VALUES (1, ?1, 10, 0, 0)";
            let digest = Digest::parse(&format!("sha256:{}", letter.repeat(64))).unwrap();
            connection.execute(sql, [digest.as_str()]).unwrap();
            IdleBlob {
                id: BlobId(1),
                digest,
                size: 10,
                idle_since: 0,
            }
        };
        let notes = || {
            let mut notes = connection.prepare("SELECT digest FROM removals").unwrap();
            notes
                .query_map([], |row| row.get::<_, String>(0))
                .unwrap()
                .collect::<Result<Vec<_>, _>>()
                .unwrap()
        };
        let found = insert("a");
        assert!(tx.delete_idle_blob(&found, 5).unwrap());
        let other = insert("b");
        assert!(!tx.delete_idle_blob(&found, 5).unwrap());
        assert_eq!(notes(), [found.digest.as_str()]);
        assert!(
            !tx.delete_idle_blob(&other, -1).unwrap() && tx.delete_idle_blob(&other, 0).unwrap()
        );
        assert_eq!(notes(), [found.digest.as_str(), other.digest.as_str()]);
    }
}
