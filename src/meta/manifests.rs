//! Manifests: their bytes, what they need, and who needs them.

use rusqlite::{OptionalExtension, Params, Row, params};

use super::{BlobRow, Error, Millis, PointReader, Reader, RepositoryId, WriteTx};
use crate::oci::{Digest, RepositoryName, TagName};

/// A manifest inside this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ManifestId(pub(super) i64);

/// A manifest as it is served.
#[derive(Clone, Debug)]
pub struct StoredManifest {
    pub id: ManifestId,
    pub digest: Digest,
    pub media_type: String,
    /// Exactly what was pushed.
    pub bytes: bytes::Bytes,
    /// Since when nothing holds it; none while something does.
    pub idle_since: Option<Millis>,
}

/// What a manifest and all it needs amounts to.
#[derive(Clone, Copy, Debug)]
pub struct Weight {
    /// In bytes.
    pub size: u64,
    /// Of that, blobs.
    pub blobs: u64,
    pub pushed_at: Millis,
}

/// What is recorded of a manifest besides its references.
pub struct NewManifest {
    pub digest: Digest,
    pub media_type: String,
    pub artifact_type: Option<String>,
    pub subject: Option<Digest>,
    pub bytes: bytes::Bytes,
}

impl PointReader<'_> {
    /// Returns the manifest that a tag points at.
    pub fn manifest_by_tag(
        &self,
        repository: &RepositoryName,
        tag: &TagName,
    ) -> Result<Option<StoredManifest>, Error> {
        self.stored_manifest(
            "SELECT manifests.digest, media_type, bytes, manifests.id, idle_since FROM repositories
             JOIN tags ON tags.repository_id = repositories.id AND tags.name = ?2
             JOIN manifests ON manifests.id = tags.manifest_id
             JOIN manifest_bytes ON manifest_bytes.manifest_id = manifests.id
             WHERE repositories.name = ?1",
            repository,
            tag.as_str(),
        )
    }

    /// Returns the manifest of that digest.
    pub fn manifest_by_digest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, Error> {
        self.stored_manifest(
            "SELECT manifests.digest, media_type, bytes, manifests.id, idle_since FROM repositories
             JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = ?2
             JOIN manifest_bytes ON manifest_bytes.manifest_id = manifests.id
             WHERE repositories.name = ?1",
            repository,
            digest.as_str(),
        )
    }

    fn stored_manifest(
        &self,
        sql: &str,
        repository: &RepositoryName,
        reference: &str,
    ) -> Result<Option<StoredManifest>, Error> {
        let stored = |row: &Row<'_>| {
            let bytes: Vec<u8> = row.get(2)?;
            Ok(StoredManifest {
                id: ManifestId(row.get(3)?),
                digest: digest(row, 0)?,
                media_type: row.get(1)?,
                bytes: bytes.into(),
                idle_since: row.get(4)?,
            })
        };
        Ok(self
            .connection
            .prepare_cached(sql)?
            .query_row(params![repository.as_str(), reference], stored)
            .optional()?)
    }
}

impl Reader<'_> {
    /// The indexes of the repository that name this manifest.
    pub fn parents(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Digest>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT parents.digest FROM repositories
                     JOIN manifests AS child ON child.repository_id = repositories.id AND child.digest = ?2
                     JOIN manifest_children ON child_id = child.id
                     JOIN manifests AS parents ON parents.id = parent_id
                     WHERE repositories.name = ?1 ORDER BY parents.digest",
                )?
                .query_map(params![repository.as_str(), digest.as_str()], |row| self::digest(row, 0))?
                .collect()
        })
    }

    /// When a manifest was pushed, and how many bytes it takes with everything it needs, each thing counted once.
    pub fn weigh(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Weight>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "WITH RECURSIVE whole (id) AS (
                         SELECT manifests.id FROM repositories JOIN manifests ON repository_id = repositories.id
                         WHERE repositories.name = ?1 AND manifests.digest = ?2
                         UNION SELECT child_id FROM whole JOIN manifest_children ON parent_id = whole.id
                     ), needed (id) AS (SELECT DISTINCT blob_id FROM manifest_blobs WHERE manifest_id IN (SELECT id FROM whole))
                     SELECT pushed_at,
                            (SELECT sum(size) FROM manifests WHERE id IN (SELECT id FROM whole)),
                            (SELECT coalesce(sum(size), 0) FROM blobs WHERE id IN (SELECT id FROM needed))
                     FROM manifests WHERE id = (SELECT min(id) FROM manifests WHERE digest = ?2 AND id IN (SELECT id FROM whole))",
                )?
                .query_row(params![repository.as_str(), digest.as_str()], |row| {
                    let (manifests, blobs): (u64, u64) = (row.get(1)?, row.get(2)?);
                    Ok(Weight { pushed_at: row.get(0)?, size: manifests + blobs, blobs })
                })
                .optional()
        })
    }
}

impl WriteTx<'_> {
    /// The manifest of that digest in the repository.
    pub fn manifest(
        &self,
        repository: RepositoryId,
        digest: &Digest,
    ) -> Result<Option<ManifestId>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM manifests WHERE repository_id = ?1 AND digest = ?2")?;
        Ok(statement
            .query_row(params![repository.0, digest.as_str()], |row| {
                row.get(0).map(ManifestId)
            })
            .optional()?)
    }

    /// Records a manifest that the repository does not hold yet, and gives it to the indexes that named it before it came,
    /// whether they found nothing then or a blob of the same bytes. It is not in the trash any more, should it have been.
    pub fn insert_manifest(
        &self,
        repository: RepositoryId,
        manifest: &NewManifest,
        now: Millis,
    ) -> Result<ManifestId, Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO manifests
                     (repository_id, digest, media_type, artifact_type, subject, size, pushed_at, idle_since, review_from)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7)",
            )?
            .execute(params![
                repository.0,
                manifest.digest.as_str(),
                manifest.media_type,
                manifest.artifact_type,
                manifest.subject.as_ref().map(Digest::as_str),
                manifest.bytes.len(),
                now
            ])?;
        let id = ManifestId(self.connection.last_insert_rowid());
        self.connection
            .prepare_cached("INSERT INTO manifest_bytes (manifest_id, bytes) VALUES (?1, ?2)")?
            .execute(params![id.0, &manifest.bytes[..]])?;
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO manifest_children (parent_id, child_id)
                 SELECT manifest_id, ?3 FROM absent_references WHERE repository_id = ?1 AND digest = ?2 AND is_child
                 UNION SELECT manifest_id, ?3 FROM blobs
                 JOIN manifest_blobs ON blob_id = blobs.id AND is_child
                 JOIN manifests ON manifests.id = manifest_id AND repository_id = ?1
                 WHERE blobs.digest = ?2",
            )?
            .execute(params![repository.0, manifest.digest.as_str(), id.0])?;
        self.connection
            .prepare_cached("DELETE FROM absent_references WHERE repository_id = ?1 AND digest = ?2 AND is_child")?
            .execute(params![repository.0, manifest.digest.as_str()])?;
        self.connection
            .prepare_cached("DELETE FROM trash WHERE repository_id = ?1 AND digest = ?2")?
            .execute(params![repository.0, manifest.digest.as_str()])?;
        Ok(id)
    }

    /// Records that a manifest needs a blob.
    pub fn add_blob_reference(
        &self,
        manifest: ManifestId,
        blob: BlobRow,
        is_child: bool,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO manifest_blobs (manifest_id, blob_id, is_child) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET is_child = is_child OR excluded.is_child",
            )?
            .execute(params![manifest.0, blob.id, is_child])?;
        Ok(())
    }

    /// Records that an index needs a manifest.
    pub fn add_child_reference(&self, parent: ManifestId, child: ManifestId) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO manifest_children (parent_id, child_id) VALUES (?1, ?2)",
            )?
            .execute(params![parent.0, child.0])?;
        Ok(())
    }

    /// Records that a manifest names something the repository does not hold, as it may.
    pub fn add_absent_reference(
        &self,
        repository: RepositoryId,
        manifest: ManifestId,
        digest: &Digest,
        is_child: bool,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO absent_references (repository_id, digest, manifest_id, is_child) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET is_child = is_child OR excluded.is_child",
            )?
            .execute(params![repository.0, digest.as_str(), manifest.0, is_child])?;
        Ok(())
    }

    pub(super) fn forget_absent(
        &self,
        repository: RepositoryId,
        digest: &Digest,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "DELETE FROM absent_references WHERE repository_id = ?1 AND digest = ?2",
            )?
            .execute(params![repository.0, digest.as_str()])?;
        Ok(())
    }

    /// An index that needs the manifest, if there is one.
    pub fn manifest_holder(&self, manifest: ManifestId) -> Result<Option<Digest>, Error> {
        self.holder(
            "SELECT manifests.digest FROM manifest_children JOIN manifests ON manifests.id = parent_id WHERE child_id = ?1 LIMIT 1",
            params![manifest.0],
        )
    }

    pub(super) fn holder(&self, sql: &str, key: impl Params) -> Result<Option<Digest>, Error> {
        Ok(self
            .connection
            .prepare_cached(sql)?
            .query_row(key, |row| digest(row, 0))
            .optional()?)
    }

    /// Manifests that no index needs, of those up to `newest` that a repository had got by that time, at most `limit`.
    pub fn free_manifests(
        &self,
        repository: RepositoryId,
        newest: ManifestId,
        by: Millis,
        limit: usize,
    ) -> Result<Vec<ManifestId>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id FROM manifests WHERE repository_id = ?1 AND id <= ?2 AND pushed_at <= ?3
             AND NOT EXISTS (SELECT 1 FROM manifest_children WHERE child_id = id) LIMIT ?4",
        )?;
        Ok(statement
            .query_map(params![repository.0, newest.0, by, limit], |row| {
                row.get(0).map(ManifestId)
            })?
            .collect::<Result<_, _>>()?)
    }

    /// The manifest that the repository got last.
    pub fn newest_manifest(&self, repository: RepositoryId) -> Result<Option<ManifestId>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT max(id) FROM manifests WHERE repository_id = ?1")?;
        Ok(statement
            .query_row([repository.0], |row| row.get::<_, Option<i64>>(0))?
            .map(ManifestId))
    }

    /// Lets subjects hold their referrers, once a new manifest has all its references: its own subject it, and it those
    /// that came before it.
    ///
    /// Digests make circles of references impossible, but an index may be about a manifest that it needs. Such a one is not
    /// held by its subject, or neither would ever go.
    pub fn hold_referrers(
        &self,
        repository: RepositoryId,
        manifest: ManifestId,
        new: &NewManifest,
    ) -> Result<(), Error> {
        if let Some(subject) = &new.subject
            && let Some(subject) = self.manifest(repository, subject)?
        {
            self.hold(subject, manifest)?;
        }
        let mut waiting = self
            .connection
            .prepare_cached("SELECT id FROM manifests WHERE repository_id = ?1 AND subject = ?2 AND held_by IS NULL AND id <> ?3")?;
        let waiting = waiting.query_map(
            params![repository.0, new.digest.as_str(), manifest.0],
            |row| row.get(0).map(ManifestId),
        )?;
        for referrer in waiting.collect::<Result<Vec<_>, _>>()? {
            self.hold(manifest, referrer)?;
        }
        self.open_circles(manifest)
    }

    fn hold(&self, subject: ManifestId, referrer: ManifestId) -> Result<(), Error> {
        if !self.hangs_on(subject, referrer)? {
            self.connection
                .prepare_cached("UPDATE manifests SET held_by = ?2 WHERE id = ?1")?
                .execute([referrer.0, subject.0])?;
        }
        Ok(())
    }

    /// An index that waited for this manifest may by now hang, through it, on what the index's own subject holds.
    fn open_circles(&self, manifest: ManifestId) -> Result<(), Error> {
        let mut above = self.connection.prepare_cached(
            "WITH RECURSIVE above (id) AS (
                 SELECT parent_id FROM manifest_children WHERE child_id = ?1
                 UNION SELECT parent_id FROM above JOIN manifest_children ON child_id = above.id
             ) SELECT id, held_by FROM manifests WHERE id IN (SELECT id FROM above) AND held_by IS NOT NULL",
        )?;
        let above = above.query_map([manifest.0], |row| {
            Ok((ManifestId(row.get(0)?), ManifestId(row.get(1)?)))
        })?;
        for (index, subject) in above.collect::<Result<Vec<_>, _>>()? {
            if self.hangs_on(subject, index)? {
                self.connection
                    .prepare_cached("UPDATE manifests SET held_by = NULL WHERE id = ?1")?
                    .execute([index.0])?;
            }
        }
        Ok(())
    }

    /// Whether `held` is kept by `holder`, directly or through others.
    fn hangs_on(&self, held: ManifestId, holder: ManifestId) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "WITH RECURSIVE below (id) AS (
                     SELECT ?1
                     UNION SELECT child_id FROM below JOIN manifest_children ON parent_id = below.id
                     UNION SELECT manifests.id FROM below JOIN manifests ON held_by = below.id
                 ) SELECT 1 FROM below WHERE id = ?2",
            )?
            .exists([holder.0, held.0])?)
    }

    /// Promises a manifest that nothing holds for another lease; says whether it is there.
    pub fn renew_manifest(&self, manifest: ManifestId, now: Millis) -> Result<bool, Error> {
        let mut statement = self.connection.prepare_cached(
            // of nothing and a time, max is nothing: what is held stays without
            "UPDATE manifests SET idle_since = max(idle_since, ?2), review_from = max(review_from, ?2) WHERE id = ?1",
        )?;
        Ok(statement.execute(params![manifest.0, now])? > 0)
    }
}

/// Reads a digest that this module wrote.
pub(super) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let text = row.get_ref(column)?.as_str()?;
    Digest::parse(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}
