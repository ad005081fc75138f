//! Damaged content: it is not served, so that the next push brings it again.
//!
//! A blob leaves a gap in the manifests that name it, with what is wrong. A manifest stays, with what is wrong.

use rusqlite::{OptionalExtension, Row, params};

use crate::meta::clock::Millis;
use crate::meta::content::blobs::BlobRow;
use crate::meta::content::manifests::NewManifest;
use crate::meta::error::Error;
use crate::meta::ids::{ManifestId, RepositoryId, RepositoryScope};
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, RepositoryName};

/// A manifest or blob that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    pub digest: Digest,
    /// Description of the damage, in a few words.
    pub damage: String,
}

/// Fate of the file of a damaged blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawnFile {
    /// Collection removes it.
    Remove,
    /// It stays, without a row.
    Keep,
}

/// Number of pieces that are not served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quarantined {
    pub blobs: u64,
    pub manifests: u64,
}

/// Reason why a repository does not show content that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    Damaged(Damaged),
    /// A manifest of the repository names it, and nobody has pushed it.
    NeededBy(Digest),
}

impl PointReader<'_> {
    /// Returns why the repository does not show a blob: it was taken out, or a manifest names it that came without it.
    ///
    /// Pushes ask for what is not there: one look at one place in an index, unless a manifest names it.
    pub fn blob_absence(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Absence>, Error> {
        let found = self.absence(
            "SELECT gap.digest, gap.damage, manifests.digest FROM repositories
             CROSS JOIN absent_references AS gap ON gap.repository_id = repositories.id AND gap.digest = ?2
             CROSS JOIN manifests ON manifests.id = gap.manifest_id WHERE repositories.name = ?1 LIMIT 1",
            repository,
            digest.as_str(),
        )?;
        if !matches!(found, Some(Absence::NeededBy(_))) {
            return Ok(found);
        }
        // another manifest may have lost it to damage
        let damaged = self.absence(
            "SELECT gap.digest, gap.damage, NULL FROM repositories
             CROSS JOIN absent_references AS gap ON gap.repository_id = repositories.id AND gap.digest = ?2
             WHERE repositories.name = ?1 AND gap.damage IS NOT NULL LIMIT 1",
            repository,
            digest.as_str(),
        )?;
        Ok(damaged.or(found))
    }

    /// Returns why the repository does not show the manifest of this digest, or the one that a tag of this name points at.
    pub fn manifest_absence(
        &self,
        repository: &RepositoryName,
        reference: &str,
    ) -> Result<Option<Absence>, Error> {
        self.absence(
            "SELECT manifests.digest, damage, NULL FROM repositories
             JOIN manifests INDEXED BY manifests_damaged ON manifests.repository_id = repositories.id AND damage IS NOT NULL
             WHERE repositories.name = ?1 AND (manifests.digest = ?2 OR manifests.id =
                 (SELECT manifest_id FROM tags WHERE repository_id = repositories.id AND name = ?2))
             UNION ALL SELECT gap.digest, NULL, manifests.digest FROM repositories
             CROSS JOIN absent_references AS gap ON gap.repository_id = repositories.id AND gap.digest = ?2
             CROSS JOIN manifests ON manifests.id = gap.manifest_id
             WHERE repositories.name = ?1 LIMIT 1",
            repository,
            reference,
        )
    }

    /// Reads a digest, its damage or null, and the manifest that names it.
    fn absence(
        &self,
        sql: &str,
        repository: &RepositoryName,
        reference: &str,
    ) -> Result<Option<Absence>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(sql)?
                .query_row(params![repository.as_str(), reference], |row| {
                    Ok(match row.get::<_, Option<_>>(1)? {
                        Some(damage) => Absence::Damaged(Damaged {
                            digest: digest(row, 0)?,
                            damage,
                        }),
                        None => Absence::NeededBy(digest(row, 2)?),
                    })
                })
                .optional()
        })
    }
}

impl Reader<'_> {
    /// Counts what is not served.
    pub fn quarantined(&self) -> Result<Quarantined, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT (SELECT count(DISTINCT digest) FROM absent_references WHERE damage IS NOT NULL),
                            (SELECT count(*) FROM manifests WHERE damage IS NOT NULL)",
                )?
                .query_row([], |row| {
                    Ok(Quarantined {
                        blobs: row.get(0)?,
                        manifests: row.get(1)?,
                    })
                })
        })
    }

    /// Lists blobs that are not served, after `after` in byte order, at most `limit`.
    pub fn damaged_blobs(
        &self,
        after: &str,
        scope: &RepositoryScope,
        limit: usize,
    ) -> Result<Vec<Damaged>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT digest, min(damage) FROM absent_references WHERE damage IS NOT NULL AND digest > ?1
                     AND (?3 IS NULL OR repository_id IN (SELECT value FROM json_each(?3)))
                     GROUP BY digest ORDER BY digest LIMIT ?2",
                )?
                .query_map(params![after, limit, scope.ids()], damaged)?
                .collect()
        })
    }

    /// Lists manifests that are not served, after `after` in byte order of their digests, at most `limit`.
    pub fn damaged_manifests(&self, after: &str, limit: usize) -> Result<Vec<Damaged>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT digest, min(damage) FROM manifests INDEXED BY manifests_damaged
                     WHERE damage IS NOT NULL AND digest > ?1 GROUP BY digest ORDER BY digest LIMIT ?2",
                )?
                .query_map(params![after, limit], damaged)?
                .collect()
        })
    }

    /// Lists what is not served of an image, of one repository or of all: manifests and blobs, at most `limit`.
    pub fn damage_within(
        &self,
        repository: Option<&RepositoryName>,
        manifest: &Digest,
        limit: usize,
    ) -> Result<Vec<Damaged>, Error> {
        self.query(|connection| {
            connection
                // repository by repository: there is no index on digests alone
                .prepare_cached(
                    "WITH RECURSIVE part (id) AS (
                         SELECT manifests.id FROM repositories CROSS JOIN manifests
                             ON repository_id = repositories.id AND manifests.digest = ?2
                         WHERE ?1 IS NULL OR repositories.name = ?1
                         UNION SELECT child_id FROM part JOIN manifest_children ON parent_id = part.id
                     )
                     SELECT digest, damage FROM absent_references JOIN part ON manifest_id = part.id WHERE damage IS NOT NULL
                     UNION SELECT digest, damage FROM manifests JOIN part ON manifests.id = part.id WHERE damage IS NOT NULL
                     LIMIT ?3",
                )?
                .query_map(
                    params![repository.map(RepositoryName::as_str), manifest.as_str(), limit],
                    damaged,
                )?
                .collect()
        })
    }

    /// Returns a blob that was taken out of all repositories, with what is wrong with it.
    pub fn damaged_blob(&self, blob: &Digest) -> Result<Option<Damaged>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT digest, damage FROM absent_references WHERE digest = ?1 AND damage IS NOT NULL LIMIT 1",
                )?
                .query_row([blob.as_str()], damaged)
                .optional()
        })
    }

    /// Reports whether a manifest is not served because it is damaged.
    pub fn is_damaged(&self, manifest: ManifestId) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM manifests WHERE id = ?1 AND damage IS NOT NULL")?
            .exists([manifest.0])?)
    }
}

impl WriteTx<'_> {
    /// Takes a damaged blob out of all repositories.
    ///
    /// Manifests that name it stay, with a gap that the next push of the blob fills.
    pub fn withdraw_blob(
        &self,
        digest: &Digest,
        blob: BlobRow,
        damage: &str,
        file: WithdrawnFile,
    ) -> Result<(), Error> {
        let repositories = self.repositories_linking(blob)?;
        self.connection
            .prepare_cached(
                "INSERT INTO absent_references (repository_id, digest, manifest_id, is_child, damage)
                 SELECT repository_id, ?2, manifest_id, is_child, ?3
                 FROM manifest_blobs JOIN manifests ON manifests.id = manifest_id WHERE blob_id = ?1
                 ON CONFLICT DO UPDATE SET damage = excluded.damage",
            )?
            .execute(params![blob.id.0, digest.as_str(), damage])?;
        let removal =
            "INSERT INTO removals (digest, size) SELECT digest, size FROM blobs WHERE id = ?1";
        let statements = [
            Some("DELETE FROM manifest_blobs WHERE blob_id = ?1"),
            Some("DELETE FROM repository_blobs WHERE blob_id = ?1"),
            Some(removal).filter(|_| file == WithdrawnFile::Remove),
            Some("DELETE FROM blobs WHERE id = ?1"),
        ];
        for sql in statements.into_iter().flatten() {
            self.connection.prepare_cached(sql)?.execute([blob.id.0])?;
        }
        repositories
            .into_iter()
            .try_for_each(|repository| self.drop_empty_repository(repository))
    }

    fn repositories_linking(&self, blob: BlobRow) -> Result<Vec<RepositoryId>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT repository_id FROM repository_blobs WHERE blob_id = ?1")?;
        Ok(statement
            .query_map([blob.id.0], |row| row.get(0).map(RepositoryId))?
            .collect::<Result<_, _>>()?)
    }

    /// Links a blob that is stored again to every repository that it was taken out of because it was damaged.
    pub(in crate::meta) fn return_blob(
        &self,
        digest: &Digest,
        blob: BlobRow,
        now: Millis,
    ) -> Result<(), Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT repository_id FROM absent_references WHERE digest = ?1 AND damage IS NOT NULL",
        )?;
        let repositories = statement
            .query_map([digest.as_str()], |row| row.get(0).map(RepositoryId))?
            .collect::<Result<Vec<_>, _>>()?;
        repositories
            .into_iter()
            .try_for_each(|repository| self.link_blob(repository, digest, blob, now))
    }

    /// Records that a manifest is damaged and not served, or with `None` that it is served again.
    pub fn set_manifest_damage(
        &self,
        manifest: ManifestId,
        damage: Option<&str>,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE manifests SET damage = ?2 WHERE id = ?1")?
            .execute(params![manifest.0, damage])?;
        Ok(())
    }

    /// Replaces everything that is recorded of a damaged manifest, which then has no references and is served again.
    pub fn replace_manifest(&self, manifest: ManifestId, new: &NewManifest) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE manifests SET media_type = ?2, artifact_type = ?3, subject = ?4, size = ?5, damage = NULL WHERE id = ?1",
            )?
            .execute(params![
                manifest.0,
                new.media_type,
                new.artifact_type,
                new.subject.as_ref().map(Digest::as_str),
                new.bytes.len()
            ])?;
        self.connection
            .prepare_cached(
                "INSERT INTO manifest_bytes (manifest_id, bytes) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
            )?
            .execute(params![manifest.0, &new.bytes[..]])?;
        self.forget_references(manifest)
    }

    /// Removes all references of a manifest; its caller adds them again in the same change.
    pub fn forget_references(&self, manifest: ManifestId) -> Result<(), Error> {
        for sql in [
            "DELETE FROM manifest_blobs WHERE manifest_id = ?1",
            "DELETE FROM manifest_children WHERE parent_id = ?1",
            "DELETE FROM absent_references WHERE manifest_id = ?1",
        ] {
            self.connection.prepare_cached(sql)?.execute([manifest.0])?;
        }
        Ok(())
    }
}

fn damaged(row: &Row<'_>) -> rusqlite::Result<Damaged> {
    Ok(Damaged {
        digest: digest(row, 0)?,
        damage: row.get(1)?,
    })
}
