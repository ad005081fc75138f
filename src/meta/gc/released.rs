//! Content that is there only because something was deleted, and that may go before its time.

use rusqlite::{OptionalExtension, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::gc::candidates::{
    IDLE_LINK, IDLE_MANIFEST, IdleLink, IdleManifest, idle_link, idle_manifest,
};
use crate::meta::ids::{Cursor, RepositoryId};
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::writer::WriteTx;

impl Reader<'_> {
    /// Lists repositories with deleted content, by name: manifests in the trash, or released content.
    pub fn repositories_with_deletions(&self) -> Result<Vec<(RepositoryId, String)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, name FROM repositories WHERE id IN (
                         SELECT repository_id FROM trash
                         UNION SELECT repository_id FROM manifests WHERE released_at IS NOT NULL
                         UNION SELECT repository_id FROM repository_blobs WHERE released_at IS NOT NULL
                     ) ORDER BY name",
                )?
                .query_map([], |row| Ok((RepositoryId(row.get(0)?), row.get(1)?)))?
                .collect()
        })
    }

    /// Counts the manifests in a repository's trash.
    pub fn count_trash(&self, repository: RepositoryId) -> Result<u64, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT count(*) FROM trash WHERE repository_id = ?1")?
                .query_row([repository.0], |row| row.get(0))
        })
    }

    /// Lists a repository's manifests whose last holder was deleted.
    pub fn released_manifests(
        &self,
        repository: RepositoryId,
        after: Cursor,
        limit: usize,
    ) -> Result<Vec<(Cursor, IdleManifest)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {IDLE_MANIFEST} FROM manifests JOIN repositories ON repositories.id = repository_id
                     WHERE repository_id = ?1 AND released_at IS NOT NULL AND manifests.id > ?2
                     ORDER BY manifests.id LIMIT ?3"
                ))?
                .query_map(params![repository.0, after.number, limit], |row| {
                    let manifest = idle_manifest(row)?;
                    Ok((Cursor::after(Millis::MIN, manifest.id.0), manifest))
                })?
                .collect()
        })
    }

    /// Lists a repository's links that were released by `until`.
    pub fn released_links(
        &self,
        repository: RepositoryId,
        until: Millis,
        after: Cursor,
        limit: usize,
    ) -> Result<Vec<(Cursor, IdleLink)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {IDLE_LINK} FROM repository_blobs AS link
                     JOIN repositories ON repositories.id = repository_id JOIN blobs ON blobs.id = blob_id
                     WHERE repository_id = ?1 AND released_at <= ?2 AND blob_id > ?3 ORDER BY blob_id LIMIT ?4"
                ))?
                .query_map(params![repository.0, until, after.second, limit], idle_link)?
                .collect()
        })
    }
}

impl WriteTx<'_> {
    /// Removes a link that is still released since `until`; false if it is not.
    ///
    /// Nothing of the repository needs the blob any more, even to undo a deletion: a blob without another link counts as
    /// unreferenced since another repository last needed it, if one did.
    pub fn delete_released_link(&self, link: &IdleLink, until: Millis) -> Result<bool, Error> {
        let needed_before: Option<Millis> = self
            .connection
            .prepare_cached("SELECT needed_at FROM blobs WHERE id = ?1")?
            .query_row([link.blob.0], |row| row.get(0))
            .optional()?;
        let removed = self
            .connection
            .prepare_cached(
                "DELETE FROM repository_blobs WHERE repository_id = ?1 AND blob_id = ?2 AND holders = 0 AND released_at <= ?3",
            )?
            .execute(params![link.repository.0, link.blob.0, until])?;
        if removed == 0 {
            return Ok(false);
        }
        self.connection
            .prepare_cached(
                "UPDATE blobs SET needed_at = ?2, idle_since = CASE WHEN links = 0 THEN ?2 END WHERE id = ?1",
            )?
            .execute(params![link.blob.0, needed_before])?;
        self.drop_empty_repository(link.repository)?;
        Ok(true)
    }
}
