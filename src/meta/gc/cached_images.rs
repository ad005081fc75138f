//! Cached images, which may be evicted: a manifest that no other one holds, with its children and referrers.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Params, Row, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::{BlobId, ManifestId, RepositoryId};
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::Digest;

/// Repositories below a prefix, of which those count that are caches.
#[derive(Clone, Debug)]
pub struct CacheScope {
    from: String,
    to: String,
}

/// An image of a cache.
#[derive(Clone, Debug)]
pub struct CachedImage {
    pub id: ManifestId,
    pub repository_id: RepositoryId,
    pub repository: String,
    pub digest: Digest,
    /// Time at which any part of it was last pulled, checked or fetched.
    pub used_at: Millis,
    /// True if its upstream does not have one of its tags any more.
    pub is_gone: bool,
}

impl CacheScope {
    /// The repositories below `prefix`; all of them if that is empty.
    pub fn below(prefix: &str) -> Self {
        match prefix {
            "" => Self {
                from: String::new(),
                to: "\u{7f}".to_owned(),
            },
            prefix => Self {
                from: format!("{prefix}/"),
                // the character after the slash
                to: format!("{prefix}0"),
            },
        }
    }
}

/// Names images among manifests joined with their repositories, and everything that belongs to each.
fn parts(which: &str) -> String {
    format!(
        "WITH RECURSIVE roots AS (
             SELECT manifests.id, repository_id, repositories.name, digest
             FROM repositories JOIN manifests ON repository_id = repositories.id
             WHERE upstream IS NOT NULL AND held_by IS NULL
             AND NOT EXISTS (SELECT 1 FROM manifest_children WHERE child_id = manifests.id) AND {which}
         ), parts (root, id) AS (
             SELECT id, id FROM roots
             UNION SELECT root, child_id FROM parts JOIN manifest_children ON parent_id = parts.id
             UNION SELECT root, manifests.id FROM parts JOIN manifests ON held_by = parts.id
         )"
    )
}

/// Lists images with the last use of everything that belongs to each.
fn images(which: &str) -> String {
    format!(
        "{}
         SELECT roots.id, roots.repository_id, roots.name, roots.digest,
             max(max(pushed_at, coalesce(pulled_at, pushed_at), coalesce(checked_at, pushed_at))),
             max(EXISTS (SELECT 1 FROM tags WHERE manifest_id = manifests.id AND gone_at IS NOT NULL))
         FROM roots JOIN parts ON root = roots.id JOIN manifests ON manifests.id = parts.id
         GROUP BY roots.id ORDER BY roots.name, roots.digest",
        parts(which)
    )
}

impl Reader<'_> {
    /// Lists cached images by repository and digest, after the one in `after`.
    pub fn cached_images(
        &self,
        scope: &CacheScope,
        after: (&str, &str),
        limit: usize,
    ) -> Result<Vec<CachedImage>, Error> {
        let page = "repositories.name >= ?1 AND repositories.name < ?2 AND repositories.name >= ?3
            AND (repositories.name, digest) > (?3, ?4) ORDER BY repositories.name, digest LIMIT ?5";
        self.all_images(page, params![scope.from, scope.to, after.0, after.1, limit])
    }

    /// Returns a cached image; `None` if that manifest is none, or belongs to another one.
    pub fn cached_image(&self, manifest: ManifestId) -> Result<Option<CachedImage>, Error> {
        let found = self.all_images("manifests.id = ?1", [manifest.0])?;
        Ok(found.into_iter().next())
    }

    fn all_images(&self, which: &str, key: impl Params) -> Result<Vec<CachedImage>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(&images(which))?
                .query_map(key, cached_image)?
                .collect()
        })
    }

    /// Lists a manifest and what belongs to it: its children, its referrers, and theirs.
    pub fn image_parts(&self, root: ManifestId) -> Result<Vec<(ManifestId, Digest)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "WITH RECURSIVE parts (id) AS (
                         SELECT ?1
                         UNION SELECT child_id FROM parts JOIN manifest_children ON parent_id = parts.id
                         UNION SELECT manifests.id FROM parts JOIN manifests ON held_by = parts.id
                     ) SELECT manifests.id, digest FROM parts JOIN manifests ON manifests.id = parts.id",
                )?
                .query_map([root.0], |row| Ok((ManifestId(row.get(0)?), digest(row, 1)?)))?
                .collect()
        })
    }

    /// Returns the size of the blobs that cached images need, each once, in bytes.
    pub fn kept_size(&self, scope: &CacheScope) -> Result<u64, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT coalesce(sum(size), 0) FROM blobs WHERE id IN (
                         SELECT blob_id FROM repositories JOIN repository_blobs ON repository_id = repositories.id
                         WHERE name >= ?1 AND name < ?2 AND upstream IS NOT NULL AND holders > 0)",
                )?
                .query_row([&scope.from, &scope.to], |row| row.get(0))
        })
    }

    /// Lists the images whose blobs alone need more than so many bytes, each with that size.
    pub fn large_images(
        &self,
        scope: &CacheScope,
        bytes: u64,
    ) -> Result<HashMap<ManifestId, u64>, Error> {
        let all = parts("repositories.name >= ?1 AND repositories.name < ?2");
        self.query(|connection| {
            connection
                .prepare_cached(&format!(
                    "{all} SELECT root, sum(size) FROM (
                         SELECT DISTINCT root, blob_id FROM parts JOIN manifest_blobs ON manifest_id = parts.id)
                     JOIN blobs ON blobs.id = blob_id GROUP BY root HAVING sum(size) > ?3"
                ))?
                .query_map(params![scope.from, scope.to, bytes], |row| {
                    Ok((ManifestId(row.get(0)?), row.get(1)?))
                })?
                .collect()
        })
    }

    /// Returns the size of a blob that no cached image needs any more; `None` if one does.
    pub fn size_if_unneeded(&self, scope: &CacheScope, blob: BlobId) -> Result<Option<u64>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT size FROM blobs WHERE id = ?1 AND NOT EXISTS (
                         SELECT 1 FROM repository_blobs JOIN repositories ON repositories.id = repository_id
                         WHERE blob_id = ?1 AND holders > 0 AND name >= ?2 AND name < ?3 AND upstream IS NOT NULL)",
                )?
                .query_row(params![blob.0, scope.from, scope.to], |row| row.get(0))
                .optional()
        })
    }
}

impl WriteTx<'_> {
    /// Counts an unneeded blob of a repository as unneeded since `since` at the latest.
    pub fn set_idle_since(
        &self,
        repository: RepositoryId,
        blob: BlobId,
        since: Millis,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE repository_blobs SET idle_since = ?3 WHERE repository_id = ?1 AND blob_id = ?2 AND holders = 0 AND idle_since > ?3",
            )?
            .execute(params![repository.0, blob.0, since])?;
        Ok(())
    }
}

fn cached_image(row: &Row<'_>) -> rusqlite::Result<CachedImage> {
    Ok(CachedImage {
        id: ManifestId(row.get(0)?),
        repository_id: RepositoryId(row.get(1)?),
        repository: row.get(2)?,
        digest: digest(row, 3)?,
        used_at: row.get(4)?,
        is_gone: row.get(5)?,
    })
}
