//! Facts that `registry verify` compares with each other, read in pages.

use rusqlite::{OptionalExtension, params};

use crate::meta::error::Error;
use crate::meta::ids::{BlobId, ManifestId};
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::oci::Digest;

/// Maximum number of problems of one kind that are listed.
const LIMIT: usize = 100;

/// Counts that triggers keep, each with a text that names what is counted.
const COUNTS: [&str; 4] = [
    "SELECT 'manifests of repository ' || name FROM repositories
     WHERE manifests <> (SELECT count(*) FROM manifests WHERE repository_id = repositories.id) LIMIT ?1",
    "SELECT 'links of blob ' || digest FROM blobs
     WHERE links <> (SELECT count(*) FROM repository_blobs WHERE blob_id = blobs.id) LIMIT ?1",
    "SELECT 'manifests of repository ' || name || ' that need blob ' || digest FROM repository_blobs AS link
     JOIN blobs ON blobs.id = link.blob_id JOIN repositories ON repositories.id = link.repository_id
     WHERE link.holders <> (SELECT count(*) FROM manifest_blobs JOIN manifests ON manifests.id = manifest_id
         WHERE manifest_blobs.blob_id = link.blob_id AND manifests.repository_id = link.repository_id) LIMIT ?1",
    "SELECT 'holders of manifest ' || digest || ' in repository ' || name FROM manifests
     JOIN repositories ON repositories.id = repository_id
     WHERE holders <> (SELECT count(*) FROM tags WHERE manifest_id = manifests.id)
         + (SELECT count(*) FROM manifest_children WHERE child_id = manifests.id) + (held_by IS NOT NULL) LIMIT ?1",
];

/// A manifest as it is stored, with what the database says that it refers to.
#[derive(Clone, Debug)]
pub struct RecordedManifest {
    pub id: ManifestId,
    pub repository: String,
    pub digest: Digest,
    pub media_type: String,
    pub bytes: Vec<u8>,
}

impl Reader<'_> {
    /// Checks the structure of the database file; returns what is wrong with it.
    pub fn structural_damage(&self) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            let mut found: Vec<String> = connection
                .prepare(&format!("PRAGMA integrity_check({LIMIT})"))?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            found.retain(|line| line != "ok");
            let mut broken = connection.prepare("PRAGMA foreign_key_check")?;
            let broken = broken.query_map([], |row| {
                let (table, target): (String, String) = (row.get(0)?, row.get(2)?);
                Ok(format!(
                    "a row of {table} refers to a row of {target} that is missing"
                ))
            })?;
            for line in broken.take(LIMIT) {
                found.push(line?);
            }
            Ok(found)
        })
    }

    /// Counts again what triggers have counted; names what differs.
    pub fn wrong_counts(&self) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            let mut found = Vec::new();
            for sql in COUNTS {
                let mut statement = connection.prepare_cached(sql)?;
                for name in statement.query_map([LIMIT], |row| row.get(0))? {
                    found.push(name?);
                }
            }
            Ok(found)
        })
    }

    /// Lists blobs after `after`, at most `limit`.
    pub fn blobs_after(
        &self,
        after: Option<BlobId>,
        limit: usize,
    ) -> Result<Vec<(BlobId, Digest)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT id, digest FROM blobs WHERE id > ?1 ORDER BY id LIMIT ?2")?
                .query_map(params![after.map_or(0, |id| id.0), limit], |row| {
                    Ok((BlobId(row.get(0)?), digest(row, 1)?))
                })?
                .collect()
        })
    }

    /// Lists blobs with their sizes in bytes, after `after` and at most `limit`.
    pub fn sized_blobs_after(
        &self,
        after: Option<BlobId>,
        limit: usize,
    ) -> Result<Vec<(BlobId, Digest, u64)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, digest, size FROM blobs WHERE id > ?1 ORDER BY id LIMIT ?2",
                )?
                .query_map(params![after.map_or(0, |id| id.0), limit], |row| {
                    Ok((BlobId(row.get(0)?), digest(row, 1)?, row.get(2)?))
                })?
                .collect()
        })
    }

    /// Lists manifests after `after`, at most `limit`.
    pub fn manifests_after(
        &self,
        after: Option<ManifestId>,
        limit: usize,
    ) -> Result<Vec<RecordedManifest>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT manifests.id, name, digest, media_type, bytes FROM manifests
                     JOIN repositories ON repositories.id = repository_id
                     LEFT JOIN manifest_bytes ON manifest_id = manifests.id
                     WHERE manifests.id > ?1 ORDER BY manifests.id LIMIT ?2",
                )?
                .query_map(params![after.map_or(0, |id| id.0), limit], |row| {
                    Ok(RecordedManifest {
                        id: ManifestId(row.get(0)?),
                        repository: row.get(1)?,
                        digest: digest(row, 2)?,
                        media_type: row.get(3)?,
                        bytes: row.get::<_, Option<_>>(4)?.unwrap_or_default(),
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
}
