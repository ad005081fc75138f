//! References between manifests, and from manifests to blobs.

use rusqlite::{OptionalExtension, Params, params};

use crate::meta::content::blobs::BlobRow;
use crate::meta::content::manifests::NewManifest;
use crate::meta::error::Error;
use crate::meta::ids::{ManifestId, RepositoryId};
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, Reference, RepositoryName};

impl Reader<'_> {
    /// Lists the indexes of the repository that name this manifest.
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

    /// Returns an index that needs the manifest, if any.
    pub fn manifest_holder(&self, manifest: ManifestId) -> Result<Option<Digest>, Error> {
        self.holder(
            "SELECT manifests.digest FROM manifest_children JOIN manifests ON manifests.id = parent_id WHERE child_id = ?1 LIMIT 1",
            params![manifest.0],
        )
    }

    /// Returns a manifest of the repository that needs the blob, if any.
    pub fn blob_holder(
        &self,
        repository: RepositoryId,
        blob: BlobRow,
    ) -> Result<Option<Digest>, Error> {
        self.holder(
            "SELECT manifests.digest FROM manifest_blobs JOIN manifests ON manifests.id = manifest_blobs.manifest_id
             WHERE blob_id = ?2 AND repository_id = ?1 LIMIT 1",
            params![repository.0, blob.id.0],
        )
    }

    pub(in crate::meta) fn holder(
        &self,
        sql: &str,
        key: impl Params,
    ) -> Result<Option<Digest>, Error> {
        Ok(self
            .connection
            .prepare_cached(sql)?
            .query_row(key, |row| digest(row, 0))
            .optional()?)
    }

    /// True if `holder` keeps `held`, directly or through others.
    fn is_kept_by(&self, held: ManifestId, holder: ManifestId) -> Result<bool, Error> {
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
}

impl WriteTx<'_> {
    /// Records that a manifest needs a blob.
    pub fn add_blob_reference(
        &self,
        manifest: ManifestId,
        blob: BlobRow,
        reference: &Reference,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO manifest_blobs (manifest_id, blob_id, is_child) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET is_child = is_child OR excluded.is_child",
            )?
            .execute(params![manifest.0, blob.id.0, reference.is_child])?;
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

    /// Records that a manifest names content that the repository does not hold.
    pub fn add_absent_reference(
        &self,
        repository: RepositoryId,
        manifest: ManifestId,
        reference: &Reference,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO absent_references (repository_id, digest, manifest_id, is_child) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET is_child = is_child OR excluded.is_child",
            )?
            .execute(params![repository.0, reference.digest.as_str(), manifest.0, reference.is_child])?;
        Ok(())
    }

    /// Records that the children which an index lacks were never pulled, so that their absence is no damage.
    pub fn mark_unpulled(&self, index: ManifestId) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE absent_references SET is_unpulled = 1 WHERE manifest_id = ?1 AND is_child AND damage IS NULL",
            )?
            .execute([index.0])?;
        Ok(())
    }

    /// Returns the children that an index lacks because they were never pulled, as their digests.
    pub fn unpulled_children(&self, index: ManifestId) -> Result<Vec<String>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT digest FROM absent_references WHERE manifest_id = ?1 AND is_unpulled",
        )?;
        let digests = statement.query_map([index.0], |row| row.get(0))?;
        Ok(digests.collect::<Result<_, _>>()?)
    }

    /// Records again that the children which an index lacks were never pulled, of these.
    pub fn mark_unpulled_again(&self, index: ManifestId, children: &[String]) -> Result<(), Error> {
        if children.is_empty() {
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "UPDATE absent_references SET is_unpulled = 1 WHERE manifest_id = ?1 AND is_child AND damage IS NULL
                     AND digest IN (SELECT value FROM json_each(?2))",
            )?
            .execute(params![index.0, serde_json::json!(children).to_string()])?;
        Ok(())
    }

    /// Reports whether a manifest names content that the repository does not hold.
    pub(in crate::meta) fn is_missed(
        &self,
        repository: RepositoryId,
        digest: &Digest,
    ) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT 1 FROM absent_references WHERE repository_id = ?1 AND digest = ?2",
            )?
            .exists(params![repository.0, digest.as_str()])?)
    }

    pub(in crate::meta) fn forget_absent(
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

    /// Lets subjects hold their referrers: its own subject the new manifest, and the new manifest earlier referrers.
    ///
    /// Call it once the manifest has all its references. Digests make circles of references impossible, but the subject of
    /// an index may be a manifest that the index needs. Such a subject does not hold the index, or neither would ever be
    /// collected.
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
        self.release_circles(manifest)
    }

    fn hold(&self, subject: ManifestId, referrer: ManifestId) -> Result<(), Error> {
        if !self.is_kept_by(subject, referrer)? {
            self.connection
                .prepare_cached("UPDATE manifests SET held_by = ?2 WHERE id = ?1")?
                .execute([referrer.0, subject.0])?;
        }
        Ok(())
    }

    fn has_parent(&self, manifest: ManifestId) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM manifest_children WHERE child_id = ?1")?
            .exists([manifest.0])?)
    }

    /// Releases indexes from their subject if they now keep that subject through this manifest.
    fn release_circles(&self, manifest: ManifestId) -> Result<(), Error> {
        if !self.has_parent(manifest)? {
            return Ok(());
        }
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
            if self.is_kept_by(subject, index)? {
                self.connection
                    .prepare_cached("UPDATE manifests SET held_by = NULL WHERE id = ?1")?
                    .execute([index.0])?;
            }
        }
        Ok(())
    }
}
