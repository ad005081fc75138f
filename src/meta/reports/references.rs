//! References, followed in both directions for reports. No client request asks for them.

use rusqlite::{OptionalExtension, Row, ToSql, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::{BlobId, LinkId, ManifestId, RepositoryId};
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::oci::{Digest, RepositoryName, TagName};

/// A manifest, with the number of tags, indexes and subjects that hold it.
#[derive(Clone, Debug)]
pub struct HeldManifest {
    pub id: ManifestId,
    pub repository: String,
    pub digest: Digest,
    /// Of the manifest alone, in bytes.
    pub size: u64,
    pub holders: u64,
    /// The manifest that holds it as its subject.
    pub subject: Option<ManifestId>,
}

/// A blob that a manifest needs, in that manifest's repository.
#[derive(Clone, Debug)]
pub struct NeededBlob {
    pub link: LinkId,
    pub blob: BlobId,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// Manifests of the repository that need it.
    pub holders: u64,
    /// Repositories that link to it.
    pub links: u64,
}

/// A blob, with the repositories that link to it without needing it.
#[derive(Clone, Debug)]
pub struct LinkedBlob {
    /// In bytes.
    pub size: u64,
    /// Repositories, and the time since which no manifest there needs it.
    pub idle_links: Vec<(String, Millis)>,
}

const HELD: &str = "manifests.id, repositories.name, manifests.digest, manifests.size, manifests.holders, manifests.held_by";

impl Reader<'_> {
    /// Lists manifests of that digest in all repositories, at most `limit`.
    pub fn manifests_of(&self, digest: &Digest, limit: usize) -> Result<Vec<HeldManifest>, Error> {
        self.query(|connection| {
            // repository by repository: there is no index on digests alone
            let sql = format!(
                "SELECT {HELD} FROM repositories CROSS JOIN manifests ON repository_id = repositories.id AND manifests.digest = ?1 LIMIT ?2"
            );
            connection.prepare_cached(&sql)?.query_map(params![digest.as_str(), limit], held)?.collect()
        })
    }

    /// Returns the manifest with that id.
    pub fn held_manifest(&self, manifest: ManifestId) -> Result<Option<HeldManifest>, Error> {
        Ok(self.held("manifests.id = ?1", manifest.0, 1)?.pop())
    }

    /// Lists manifests that this one holds: its children, and the referrers of which it is the subject.
    pub fn held_by_manifest(&self, manifest: ManifestId) -> Result<Vec<HeldManifest>, Error> {
        let held = "manifests.id IN (SELECT child_id FROM manifest_children WHERE parent_id = ?1) OR manifests.held_by = ?1";
        self.held(held, manifest.0, usize::MAX)
    }

    /// Lists indexes that name this manifest, at most `limit`.
    pub fn parents_of(
        &self,
        manifest: ManifestId,
        limit: usize,
    ) -> Result<Vec<HeldManifest>, Error> {
        self.held(
            "manifests.id IN (SELECT parent_id FROM manifest_children WHERE child_id = ?1)",
            manifest.0,
            limit,
        )
    }

    /// Lists manifests that need a blob in all repositories, even if it was damaged and taken out; at most `limit`.
    pub fn manifests_needing(
        &self,
        digest: &Digest,
        limit: usize,
    ) -> Result<Vec<HeldManifest>, Error> {
        self.held(
            "manifests.id IN (SELECT manifest_id FROM manifest_blobs WHERE blob_id = (SELECT id FROM blobs WHERE digest = ?1)
                 UNION SELECT manifest_id FROM absent_references WHERE digest = ?1 AND damage IS NOT NULL)",
            digest.as_str(),
            limit,
        )
    }

    fn held(
        &self,
        condition: &str,
        key: impl ToSql,
        limit: usize,
    ) -> Result<Vec<HeldManifest>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.query(|connection| {
            let sql =
                format!("SELECT {HELD} FROM manifests JOIN repositories ON repositories.id = repository_id WHERE {condition} LIMIT ?2");
            connection.prepare_cached(&sql)?.query_map(params![key, limit], held)?.collect()
        })
    }

    /// Returns the first `limit` tags of a manifest by name, and the number of all its tags.
    pub fn tags_of_manifest(
        &self,
        manifest: ManifestId,
        limit: usize,
    ) -> Result<(Vec<String>, u64), Error> {
        self.query(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name FROM tags WHERE manifest_id = ?1 ORDER BY name LIMIT ?2",
            )?;
            let names = statement
                .query_map(params![manifest.0, limit], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut count =
                connection.prepare_cached("SELECT count(*) FROM tags WHERE manifest_id = ?1")?;
            Ok((names, count.query_row([manifest.0], |row| row.get(0))?))
        })
    }

    /// Lists the blobs that a manifest needs.
    pub fn blobs_of_manifest(&self, manifest: ManifestId) -> Result<Vec<NeededBlob>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT link.repository_id, blobs.id, blobs.digest, blobs.size, link.holders, blobs.links FROM manifests
                     JOIN manifest_blobs ON manifest_id = manifests.id JOIN blobs ON blobs.id = manifest_blobs.blob_id
                     JOIN repository_blobs AS link ON link.blob_id = blobs.id AND link.repository_id = manifests.repository_id
                     WHERE manifests.id = ?1",
                )?
                .query_map([manifest.0], |row| {
                    let blob = BlobId(row.get(1)?);
                    Ok(NeededBlob {
                        link: LinkId {
                            repository: RepositoryId(row.get(0)?),
                            blob,
                        },
                        blob,
                        digest: digest(row, 2)?,
                        size: row.get(3)?,
                        holders: row.get(4)?,
                        links: row.get(5)?,
                    })
                })?
                .collect()
        })
    }

    /// Returns the blob of that digest, with at most `limit` repositories that link to it without needing it.
    pub fn linked_blob(&self, digest: &Digest, limit: usize) -> Result<Option<LinkedBlob>, Error> {
        self.query(|connection| {
            let found = connection
                .prepare_cached("SELECT id, size FROM blobs WHERE digest = ?1")?
                .query_row([digest.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
                .optional()?;
            let Some((blob, size)) = found else { return Ok(None) };
            let mut statement = connection.prepare_cached(
                "SELECT name, idle_since FROM repository_blobs JOIN repositories ON repositories.id = repository_id
                 WHERE blob_id = ?1 AND idle_since IS NOT NULL LIMIT ?2",
            )?;
            let links = statement.query_map(params![blob, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(Some(LinkedBlob { size, idle_links: links.collect::<Result<_, _>>()? }))
        })
    }

    /// Lists the manifests of a repository, by digest, after `after`.
    pub fn manifests_in(
        &self,
        repository: &RepositoryName,
        after: &str,
        limit: usize,
    ) -> Result<Vec<HeldManifest>, Error> {
        self.query(|connection| {
            let sql = format!(
                "SELECT {HELD} FROM repositories JOIN manifests ON repository_id = repositories.id AND manifests.digest > ?2
                 WHERE repositories.name = ?1 ORDER BY manifests.digest LIMIT ?3"
            );
            connection.prepare_cached(&sql)?.query_map(params![repository.as_str(), after, limit], held)?.collect()
        })
    }

    /// Returns the manifest that a tag points at.
    pub fn held_by_tag(
        &self,
        repository: &RepositoryName,
        tag: &TagName,
    ) -> Result<Option<HeldManifest>, Error> {
        self.query(|connection| {
            let sql = format!(
                "SELECT {HELD} FROM repositories JOIN tags ON tags.repository_id = repositories.id AND tags.name = ?2
                 JOIN manifests ON manifests.id = tags.manifest_id WHERE repositories.name = ?1"
            );
            connection.prepare_cached(&sql)?.query_row(params![repository.as_str(), tag.as_str()], held).optional()
        })
    }

    /// Returns the manifest of that digest in the repository.
    pub fn manifest_in(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<HeldManifest>, Error> {
        self.query(|connection| {
            let sql = format!(
                "SELECT {HELD} FROM repositories JOIN manifests ON repository_id = repositories.id
                 WHERE repositories.name = ?1 AND manifests.digest = ?2"
            );
            connection
                .prepare_cached(&sql)?
                .query_row(params![repository.as_str(), digest.as_str()], held)
                .optional()
        })
    }
}

fn held(row: &Row<'_>) -> rusqlite::Result<HeldManifest> {
    Ok(HeldManifest {
        id: ManifestId(row.get(0)?),
        repository: row.get(1)?,
        digest: digest(row, 2)?,
        size: row.get(3)?,
        holders: row.get(4)?,
        subject: row.get::<_, Option<i64>>(5)?.map(ManifestId),
    })
}
