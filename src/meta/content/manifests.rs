//! Manifests: rows, and the exact bytes.

use rusqlite::{MAIN_DB, OptionalExtension, Row, params};

use crate::events::EventKind;
use crate::meta::access::audit::{AuditAction, AuditSubject};
use crate::meta::actor::Actor;
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::{ManifestId, RepositoryId};
use crate::meta::outbox::events::{EventPlace, EventSubject};
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, RepositoryName, TagName};

/// A manifest as it is served.
#[derive(Clone, Debug)]
pub struct StoredManifest {
    pub id: ManifestId,
    pub digest: Digest,
    pub media_type: String,
    /// Exactly as pushed.
    pub bytes: bytes::Bytes,
    /// Time since which it is unreferenced; `None` while it is referenced.
    pub idle_since: Option<Millis>,
    /// True if its last holder was deleted, and no client has been told of it since.
    pub is_released: bool,
}

/// The size of a manifest with everything that it needs.
#[derive(Clone, Copy, Debug)]
pub struct ManifestSize {
    /// In bytes.
    pub size: u64,
    /// Blobs only, in bytes.
    pub blobs: u64,
    pub pushed_at: Millis,
}

/// A manifest to be recorded, without its references.
#[derive(Debug)]
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
            "SELECT manifests.digest, media_type, bytes, manifests.id, idle_since, released_at IS NOT NULL FROM repositories
             JOIN tags ON tags.repository_id = repositories.id AND tags.name = ?2
             JOIN manifests ON manifests.id = tags.manifest_id AND damage IS NULL
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
            "SELECT manifests.digest, media_type, bytes, manifests.id, idle_since, released_at IS NOT NULL FROM repositories
             JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = ?2 AND damage IS NULL
             JOIN manifest_bytes ON manifest_bytes.manifest_id = manifests.id
             WHERE repositories.name = ?1",
            repository,
            digest.as_str(),
        )
    }

    /// Fills `buffer` with the bytes of a manifest from `offset` on; false if it is absent.
    pub fn read_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<bool, Error> {
        // one snapshot: the row number may be reused by the time that its bytes are opened
        let snapshot = self.connection.unchecked_transaction()?;
        let id: Option<i64> = snapshot
            .prepare_cached(
                "SELECT manifests.id FROM repositories
                 JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = ?2
                 WHERE repositories.name = ?1",
            )?
            .query_row([repository.as_str(), digest.as_str()], |row| row.get(0))
            .optional()?;
        let Some(id) = id else { return Ok(false) };
        snapshot
            .blob_open(MAIN_DB, "manifest_bytes", "bytes", id, true)?
            .read_at_exact(buffer, offset)?;
        Ok(true)
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
                is_released: row.get(5)?,
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
    /// Returns the manifest of that digest in the repository.
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

    /// Returns the media type of a manifest; `None` if it is absent.
    pub fn media_type(&self, manifest: ManifestId) -> Result<Option<String>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT media_type FROM manifests WHERE id = ?1")?;
        Ok(statement
            .query_row([manifest.0], |row| row.get(0))
            .optional()?)
    }

    /// Returns the newest manifest of the repository.
    pub fn newest_manifest(&self, repository: RepositoryId) -> Result<Option<ManifestId>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT max(id) FROM manifests WHERE repository_id = ?1")?;
        Ok(statement
            .query_row([repository.0], |row| row.get::<_, Option<i64>>(0))?
            .map(ManifestId))
    }

    /// Lists at most `limit` manifests that no index needs.
    ///
    /// Leaves out those pushed after `by`, or recorded after `newest`.
    pub fn manifests_without_parent(
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

    /// Returns the size of a manifest with everything that it needs, counting shared content once.
    pub fn manifest_size(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<ManifestSize>, Error> {
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
                    Ok(ManifestSize { pushed_at: row.get(0)?, size: manifests + blobs, blobs })
                })
                .optional()
        })
    }
}

impl WriteTx<'_> {
    /// Records a manifest that the repository does not hold yet, and removes it from the trash.
    ///
    /// Indexes that named it before get their reference, whether they found nothing then or a blob of the same bytes.
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
        self.give_to_parents(repository, &manifest.digest, id)?;
        self.connection
            .prepare_cached("DELETE FROM trash WHERE repository_id = ?1 AND digest = ?2")?
            .execute(params![repository.0, manifest.digest.as_str()])?;
        Ok(id)
    }

    /// Records a new manifest as a child of the indexes that named it before.
    fn give_to_parents(
        &self,
        repository: RepositoryId,
        digest: &Digest,
        child: ManifestId,
    ) -> Result<(), Error> {
        if self.blob(digest)?.is_none() && !self.is_missed(repository, digest)? {
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO manifest_children (parent_id, child_id)
                 SELECT manifest_id, ?3 FROM absent_references WHERE repository_id = ?1 AND digest = ?2 AND is_child
                 UNION SELECT manifest_id, ?3 FROM blobs
                 JOIN manifest_blobs ON blob_id = blobs.id AND is_child
                 JOIN manifests ON manifests.id = manifest_id AND repository_id = ?1
                 WHERE blobs.digest = ?2",
            )?
            .execute(params![repository.0, digest.as_str(), child.0])?;
        self.connection
            .prepare_cached("DELETE FROM absent_references WHERE repository_id = ?1 AND digest = ?2 AND is_child")?
            .execute(params![repository.0, digest.as_str()])?;
        Ok(())
    }

    /// Replaces the media type under which a manifest is served.
    pub fn set_media_type(&self, manifest: ManifestId, media_type: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE manifests SET media_type = ?2 WHERE id = ?1")?
            .execute(params![manifest.0, media_type])?;
        Ok(())
    }

    /// Renews the lease of an unreferenced manifest; false if it is absent.
    pub fn renew_manifest(&self, manifest: ManifestId, now: Millis) -> Result<bool, Error> {
        let mut statement = self.connection.prepare_cached(
            // max of NULL and a time is NULL: what is referenced stays without one
            "UPDATE manifests SET idle_since = max(idle_since, ?2), review_from = max(review_from, ?2), released_at = NULL
             WHERE id = ?1",
        )?;
        Ok(statement.execute(params![manifest.0, now])? > 0)
    }

    /// Moves a manifest that no index needs to the trash, with the names of its tags; a damaged one goes for good.
    ///
    /// Its tags and its references to others are removed.
    pub fn delete_manifest(
        &self,
        manifest: ManifestId,
        actor: &Actor,
        now: Millis,
    ) -> Result<(), Error> {
        let (repository, digest) = self
            .connection
            .prepare_cached("SELECT repository_id, digest FROM manifests WHERE id = ?1")?
            .query_row([manifest.0], |row| {
                Ok((RepositoryId(row.get(0)?), row.get::<_, String>(1)?))
            })?;
        let subject = AuditSubject {
            repository: Some(repository),
            former: Some(&digest),
            ..AuditSubject::default()
        };
        self.audit(AuditAction::Delete, subject, actor, now)?;
        let tags = self.tags_on(manifest)?;
        let kind = match tags.is_empty() {
            true => EventKind::UntaggedDeleted,
            false => EventKind::ManifestDeleted,
        };
        if !actor.is_rule {
            self.tell(kind, actor, now, || {
                Ok(EventSubject {
                    target: self.descriptor(manifest)?,
                    ..EventSubject::at(EventPlace::Id(repository))
                })
            })?;
        }
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO trash
                     (repository_id, digest, media_type, bytes, size, subject, tags, deleted_at, deleted_by, deleted_from,
                      unpulled)
                 SELECT repository_id, digest, media_type, bytes, length(bytes), subject, ?2, ?3, ?4, ?5,
                     (SELECT json_group_array(digest) FROM absent_references WHERE manifest_id = ?1 AND is_unpulled)
                 FROM manifests JOIN manifest_bytes ON manifest_id = id WHERE id = ?1 AND damage IS NULL",
            )?
            .execute(params![manifest.0, serde_json::json!(tags).to_string(), now, actor.name, actor.address])?;
        for tag in &tags {
            self.delete_tag(repository, tag, actor, now)?;
        }
        self.connection
            .prepare_cached("DELETE FROM manifests WHERE id = ?1")?
            .execute([manifest.0])?;
        Ok(())
    }
}
