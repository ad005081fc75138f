//! Content that is compared with its digest, in pages, and the images that damage affects.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::{BlobId, ManifestId, RepositoryScope};
use crate::meta::reports::references::HeldManifest;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::oci::Digest;

/// Maximum number of tags that an affected image is named by.
const MAX_TAGS: usize = 1000;

/// A manifest as it is stored.
#[derive(Clone, Debug)]
pub struct RecordedManifest {
    pub id: ManifestId,
    pub repository: String,
    pub digest: Digest,
    pub media_type: String,
    pub bytes: Vec<u8>,
    /// Damage that was found, so that it is not served.
    pub damage: Option<String>,
}

/// A blob as it is recorded.
#[derive(Clone, Debug)]
pub struct RecordedBlob {
    pub id: BlobId,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// Time when its file was stored: the same row with another time has another file.
    pub stored_at: Millis,
}

/// An image that needs something damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffectedImage {
    pub repository: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its tags, and those of indexes that need it; in byte order.
    pub tags: Vec<String>,
}

impl Reader<'_> {
    /// Lists blobs after the row `after`, at most `limit`.
    pub fn blobs_after(
        &self,
        after: i64,
        scope: &RepositoryScope,
        limit: usize,
    ) -> Result<Vec<RecordedBlob>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, digest, size, created_at FROM blobs WHERE id > ?1 AND (?3 IS NULL OR EXISTS (
                         SELECT 1 FROM repository_blobs WHERE blob_id = id
                         AND repository_id IN (SELECT value FROM json_each(?3)))) ORDER BY id LIMIT ?2",
                )?
                .query_map(params![after, limit, scope.ids()], |row| {
                    Ok(RecordedBlob {
                        id: BlobId(row.get(0)?),
                        digest: digest(row, 1)?,
                        size: row.get(2)?,
                        stored_at: row.get(3)?,
                    })
                })?
                .collect()
        })
    }

    /// Reports whether this very row is recorded: the blob's file is then the one that it was.
    pub fn has_row(&self, blob: &RecordedBlob) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT 1 FROM blobs WHERE id = ?1 AND digest = ?2 AND size = ?3 AND created_at = ?4",
            )?
            .exists(params![
                blob.id.0,
                blob.digest.as_str(),
                blob.size,
                blob.stored_at
            ])?)
    }

    /// Returns the number and the size of the blobs after the row `after`.
    pub fn blobs_left(&self, after: i64, scope: &RepositoryScope) -> Result<(u64, u64), Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(size), 0) FROM blobs WHERE id > ?1 AND (?2 IS NULL OR EXISTS (
                         SELECT 1 FROM repository_blobs WHERE blob_id = id
                         AND repository_id IN (SELECT value FROM json_each(?2))))",
                )?
                .query_row(params![after, scope.ids()], |row| Ok((row.get(0)?, row.get(1)?)))
        })
    }

    /// Lists manifests after the row `after`, at most `limit`.
    pub fn manifests_after(
        &self,
        after: i64,
        scope: &RepositoryScope,
        limit: usize,
    ) -> Result<Vec<RecordedManifest>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT manifests.id, name, digest, media_type, bytes, damage FROM manifests
                     JOIN repositories ON repositories.id = repository_id
                     LEFT JOIN manifest_bytes ON manifest_id = manifests.id
                     WHERE manifests.id > ?1 AND (?3 IS NULL OR repository_id IN (SELECT value FROM json_each(?3)))
                     ORDER BY manifests.id LIMIT ?2",
                )?
                .query_map(params![after, limit, scope.ids()], |row| {
                    Ok(RecordedManifest {
                        id: ManifestId(row.get(0)?),
                        repository: row.get(1)?,
                        digest: digest(row, 2)?,
                        media_type: row.get(3)?,
                        bytes: row.get::<_, Option<_>>(4)?.unwrap_or_default(),
                        damage: row.get(5)?,
                    })
                })?
                .collect()
        })
    }

    /// Lists everything that a manifest refers to, whether the repository holds it or not.
    ///
    /// `None` if the manifest is gone meanwhile.
    pub fn recorded_references(
        &self,
        manifest: &RecordedManifest,
    ) -> Result<Option<Vec<Digest>>, Error> {
        self.query(|connection| {
            let references = connection
                .prepare_cached(
                    "SELECT digest FROM manifest_blobs JOIN blobs ON blobs.id = blob_id WHERE manifest_id = ?1
                     UNION SELECT digest FROM manifest_children JOIN manifests ON manifests.id = child_id WHERE parent_id = ?1
                     UNION SELECT digest FROM absent_references WHERE manifest_id = ?1",
                )?
                .query_map([manifest.id.0], |row| digest(row, 0))?
                .collect::<Result<Vec<_>, _>>()?;
            let is_there = connection
                .prepare_cached("SELECT 1 FROM manifests WHERE id = ?1 AND digest = ?2")?
                .query_row(params![manifest.id.0, manifest.digest.as_str()], |_| Ok(()))
                .optional()?;
            Ok(is_there.map(|()| references))
        })
    }

    /// Lists manifests that name content which is neither there nor known as damaged, with that content.
    ///
    /// Content that was never pulled when they were kept from a cache is no gap.
    ///
    /// They are at most `limit`, after the row `after`.
    pub fn gaps_after(
        &self,
        after: i64,
        scope: &RepositoryScope,
        limit: usize,
    ) -> Result<Vec<(RecordedManifest, HashSet<Digest>)>, Error> {
        let manifests = self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT DISTINCT manifest_id FROM absent_references INDEXED BY absent_references_by_manifest
                     WHERE manifest_id > ?1 AND damage IS NULL AND NOT is_unpulled
                     AND repository_id NOT IN (SELECT id FROM repositories WHERE upstream IS NOT NULL)
                     AND NOT EXISTS (SELECT 1 FROM adoptions JOIN repositories ON repositories.id = repository_id
                         WHERE completed_at IS NULL AND (adoptions.name = ''
                             OR substr(repositories.name, 1, length(adoptions.name) + 1) = adoptions.name || '/'))
                     AND (?3 IS NULL OR repository_id IN (SELECT value FROM json_each(?3)))
                     ORDER BY manifest_id LIMIT ?2",
                )?
                .query_map(params![after, limit, scope.ids()], |row| row.get(0))?
                .collect::<Result<Vec<i64>, _>>()
        })?;
        let mut found = Vec::new();
        for id in manifests {
            let gaps = self.query(|connection| {
                connection
                    .prepare_cached("SELECT digest FROM absent_references WHERE manifest_id = ?1 AND damage IS NULL AND NOT is_unpulled")?
                    .query_map([id], |row| digest(row, 0))?
                    .collect()
            })?;
            let page = self.manifests_after(id - 1, &RepositoryScope::ALL, 1)?;
            if let Some(manifest) = page.into_iter().next() {
                found.push((manifest, gaps));
            }
        }
        Ok(found)
    }

    /// Lists images that need a blob, even if it was damaged and taken out, at most `limit`; and counts all of them.
    pub fn images_needing(
        &self,
        blob: &Digest,
        limit: usize,
    ) -> Result<(Vec<AffectedImage>, u64), Error> {
        let mut manifests = self.manifests_needing(blob, limit)?;
        manifests.sort_unstable_by(|one, other| {
            (&one.repository, &one.digest).cmp(&(&other.repository, &other.digest))
        });
        let listed = manifests.len() as u64;
        let images = manifests
            .into_iter()
            .map(|manifest| self.affected_image(manifest));
        let images = images.collect::<Result<Vec<_>, _>>()?;
        let count = match listed < limit as u64 {
            true => listed,
            false => self.count_needing(blob)?,
        };
        Ok((images, count))
    }

    fn count_needing(&self, blob: &Digest) -> Result<u64, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT count(*) FROM (
                         SELECT manifest_id FROM manifest_blobs WHERE blob_id = (SELECT id FROM blobs WHERE digest = ?1)
                         UNION SELECT manifest_id FROM absent_references WHERE digest = ?1 AND damage IS NOT NULL)",
                )?
                .query_row([blob.as_str()], |row| row.get(0))
        })
    }

    fn affected_image(&self, manifest: HeldManifest) -> Result<AffectedImage, Error> {
        Ok(AffectedImage {
            tags: self.image_tags(manifest.id)?,
            repository: manifest.repository,
            digest: manifest.digest,
        })
    }

    /// Lists the tags of a manifest and of the indexes that need it, in byte order; the first 1,000.
    pub fn image_tags(&self, manifest: ManifestId) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "WITH RECURSIVE above (id) AS (
                         SELECT ?1 UNION SELECT parent_id FROM above JOIN manifest_children ON child_id = above.id
                     ) SELECT DISTINCT name FROM tags WHERE manifest_id IN (SELECT id FROM above) ORDER BY name LIMIT ?2",
                )?
                .query_map(params![manifest.0, MAX_TAGS], |row| row.get(0))?
                .collect()
        })
    }
}
