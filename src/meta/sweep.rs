//! What collection asks for and removes. Every question reads a partial index over what nothing holds, so that it costs
//! what there is to find; every removal judges again, in the same transaction, whether it is still due.

use rusqlite::{OptionalExtension, Row, params};

use super::manifests::digest;
use super::{Error, ManifestId, Millis, Reader, RepositoryId, WriteTx};
use crate::oci::Digest;

/// Where a list of due things goes on: after the row of that time, and, among those of one time, of these numbers.
pub type Cursor = (Millis, i64, i64);

/// Before the first.
pub const FIRST: Cursor = (Millis::MIN, 0, 0);

/// In the place of a repository's next review, while that is under way: a time long past, so that it is taken up again
/// should it not end, and not the one that triggers set.
const UNDER_REVIEW: Millis = 1;

/// A manifest that nothing holds.
#[derive(Clone, Debug)]
pub struct IdleManifest {
    pub id: ManifestId,
    pub repository: String,
    pub digest: Digest,
    /// Of the manifest alone, in bytes.
    pub size: u64,
    pub idle_since: Millis,
    pub pulled_at: Option<Millis>,
    /// An index or a subject held it last.
    pub is_freed: bool,
}

/// What a repository may show and none of its manifests needs.
#[derive(Clone, Debug)]
pub struct IdleLink {
    repository: i64,
    /// The blob's key.
    pub blob: i64,
    pub name: String,
    pub digest: Digest,
    /// Of the blob, in bytes.
    pub size: u64,
    /// Repositories that show the blob.
    pub links: u64,
    pub idle_since: Millis,
}

/// A blob that no repository shows.
#[derive(Clone, Debug)]
pub struct IdleBlob {
    id: i64,
    pub digest: Digest,
    pub size: u64,
    pub idle_since: Millis,
}

/// A file whose blob is gone.
#[derive(Clone, Debug)]
pub struct Removal {
    pub id: i64,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

/// How much there is for collection to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DueCounts {
    pub manifests: u64,
    /// Of those manifests, to blobs.
    pub references: u64,
    pub links: u64,
    pub blobs: u64,
    /// Files.
    pub removals: u64,
}

const IDLE_MANIFEST: &str =
    "manifests.id, repositories.name, digest, size, idle_since, pulled_at, is_freed";

impl Reader<'_> {
    /// Manifests that nothing has held since `cutoff`, as far as no rule has put them off beyond `put_off`.
    pub fn idle_manifests(
        &self,
        cutoff: Millis,
        put_off: Millis,
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
                .query_map(params![put_off, after.0, after.1, cutoff, limit], |row| {
                    let manifest = idle_manifest(row)?;
                    Ok(((row.get(7)?, manifest.id.0, 0), manifest))
                })?
                .collect()
        })
    }

    /// Links that nothing has held since `cutoff`.
    pub fn idle_links(
        &self,
        cutoff: Millis,
        after: Cursor,
        limit: usize,
    ) -> Result<Vec<(Cursor, IdleLink)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT repository_id, blob_id, name, digest, size, link.idle_since, links FROM repository_blobs AS link
                     JOIN repositories ON repositories.id = repository_id JOIN blobs ON blobs.id = blob_id
                     WHERE link.idle_since <= ?1 AND (link.idle_since, repository_id, blob_id) > (?2, ?3, ?4)
                     ORDER BY link.idle_since, repository_id, blob_id LIMIT ?5",
                )?
                .query_map(params![cutoff, after.0, after.1, after.2, limit], |row| {
                    let link = IdleLink {
                        repository: row.get(0)?,
                        blob: row.get(1)?,
                        name: row.get(2)?,
                        digest: digest(row, 3)?,
                        size: row.get(4)?,
                        idle_since: row.get(5)?,
                        links: row.get(6)?,
                    };
                    Ok(((link.idle_since, link.repository, link.blob), link))
                })?
                .collect()
        })
    }

    /// Blobs that no repository has shown since `cutoff`.
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
                .query_map(params![cutoff, after.0, after.1, limit], |row| {
                    let blob = IdleBlob { id: row.get(0)?, digest: digest(row, 1)?, size: row.get(2)?, idle_since: row.get(3)? };
                    Ok(((blob.idle_since, blob.id, 0), blob))
                })?
                .collect()
        })
    }

    /// Counts everything that nothing has held since `cutoff`: manifests as [`Self::idle_manifests`] lists them.
    pub fn count_due(&self, cutoff: Millis, put_off: Millis) -> Result<DueCounts, Error> {
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
                .query_row(params![cutoff, put_off], |row| {
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

    /// Whether the subject of a manifest is there, and has a tag or hangs on one in another way than through the manifest
    /// itself: then it is kept, although its subject does not hold it.
    pub fn is_about_tagged(&self, manifest: ManifestId) -> Result<bool, Error> {
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

    /// The manifest, if nothing holds it.
    pub fn idle_manifest(&self, manifest: ManifestId) -> Result<Option<IdleManifest>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {IDLE_MANIFEST} FROM manifests JOIN repositories ON repositories.id = repository_id
             WHERE manifests.id = ?1 AND holders = 0 AND idle_since IS NOT NULL"
        ))?;
        Ok(statement
            .query_row([manifest.0], idle_manifest)
            .optional()?)
    }

    /// Files to be removed, in the order in which their blobs went.
    pub fn removals(&self, after: i64, limit: usize) -> Result<Vec<Removal>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, digest, size FROM removals WHERE id > ?1 ORDER BY id LIMIT ?2",
                )?
                .query_map(params![after, limit], |row| {
                    Ok(Removal {
                        id: row.get(0)?,
                        digest: digest(row, 1)?,
                        size: row.get(2)?,
                    })
                })?
                .collect()
        })
    }

    /// Repositories whose rules about tags are to be applied by `now`.
    pub fn reviewed_repositories(
        &self,
        now: Millis,
        after: Cursor,
        limit: usize,
    ) -> Result<Vec<(Cursor, RepositoryId, String)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT review_at, id, name FROM repositories WHERE review_at <= ?1 AND (review_at, id) > (?2, ?3)
                     ORDER BY review_at, id LIMIT ?4",
                )?
                .query_map(params![now, after.0, after.1, limit], reviewed)?
                .collect()
        })
    }

    /// Repositories that hold a manifest, in the order in which they came.
    pub fn all_repositories(
        &self,
        after: Cursor,
        limit: usize,
    ) -> Result<Vec<(Cursor, RepositoryId, String)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 0, id, name FROM repositories WHERE id > ?1 AND manifests > 0 ORDER BY id LIMIT ?2")?
                .query_map(params![after.1, limit], reviewed)?
                .collect()
        })
    }

    /// Whether anything was deleted, or has ended, before `cutoff` and is still remembered: trash, and tag history.
    pub fn has_memories(
        &self,
        trash_cutoff: Millis,
        history_cutoff: Millis,
    ) -> Result<(bool, bool), Error> {
        self.query(|connection| {
            let exists = |sql: &str, cutoff| connection.prepare_cached(sql)?.exists([cutoff]);
            Ok((
                exists("SELECT 1 FROM trash WHERE deleted_at <= ?1", trash_cutoff)?,
                exists(
                    "SELECT 1 FROM tag_history WHERE until <= ?1",
                    history_cutoff,
                )?,
            ))
        })
    }

    /// Pages of the database that hold nothing, and all of them.
    pub fn free_pages(&self) -> Result<(u64, u64), Error> {
        self.query(|connection| {
            let pragma =
                |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
            Ok((pragma("freelist_count")?, pragma("page_count")?))
        })
    }
}

impl WriteTx<'_> {
    /// Runs `work` so that nothing of it remains where it fails.
    pub fn attempt<T, E: From<Error>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let run = |sql: &str| {
            self.connection
                .prepare_cached(sql)?
                .execute([])
                .map_err(Error::from)
        };
        run("SAVEPOINT attempt")?;
        let outcome = work();
        if outcome.is_err() {
            run("ROLLBACK TO attempt")?;
        }
        run("RELEASE attempt")?;
        outcome
    }

    /// Has collection pass over a manifest until `review_from` comes before its cutoff.
    pub fn put_off(&self, manifest: ManifestId, review_from: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE manifests SET review_from = ?2 WHERE id = ?1 AND review_from IS NOT NULL",
            )?
            .execute(params![manifest.0, review_from])?;
        Ok(())
    }

    /// Takes a blob out of a repository, if nothing there has held it since `cutoff`; says whether it did.
    pub fn delete_idle_link(&self, link: &IdleLink, cutoff: Millis) -> Result<bool, Error> {
        let removed = self
            .connection
            .prepare_cached("DELETE FROM repository_blobs WHERE repository_id = ?1 AND blob_id = ?2 AND holders = 0 AND idle_since <= ?3")?
            .execute(params![link.repository, link.blob, cutoff])?;
        if removed > 0 {
            self.drop_empty_repository(RepositoryId(link.repository))?;
        }
        Ok(removed > 0)
    }

    /// Forgets a blob, if no repository has shown it since `cutoff`, and notes its file for removal; says whether it did.
    pub fn delete_idle_blob(&self, blob: &IdleBlob, cutoff: Millis) -> Result<bool, Error> {
        let removed = self
            .connection
            // by its digest as well, which the note will have: its number may be another one's by now
            .prepare_cached("DELETE FROM blobs WHERE id = ?1 AND digest = ?3 AND links = 0 AND idle_since <= ?2")?
            .execute(params![blob.id, cutoff, blob.digest.as_str()])?;
        if removed > 0 {
            self.connection
                .prepare_cached("INSERT INTO removals (digest, size) VALUES (?1, ?2)")?
                .execute(params![blob.digest.as_str(), blob.size])?;
        }
        Ok(removed > 0)
    }

    /// Forgets removals that are durable.
    pub fn forget_removals(&self, ids: &[i64]) -> Result<(), Error> {
        let mut statement = self
            .connection
            .prepare_cached("DELETE FROM removals WHERE id = ?1")?;
        ids.iter()
            .try_for_each(|id| statement.execute([id]).map(|_| ()).map_err(Error::from))
    }

    /// Forgets what tags pointed at until before `cutoff`, oldest first, at most `limit`; says how much that was.
    pub fn forget_history(&self, cutoff: Millis, limit: usize) -> Result<usize, Error> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM tag_history WHERE id IN (SELECT id FROM tag_history WHERE until <= ?1 ORDER BY until LIMIT ?2)
             RETURNING repository_id",
        )?;
        let rows =
            statement.query_map(params![cutoff, limit], |row| row.get(0).map(RepositoryId))?;
        let mut repositories = rows.collect::<Result<Vec<_>, _>>()?;
        let forgotten = repositories.len();
        repositories.sort_unstable();
        repositories.dedup();
        repositories
            .into_iter()
            .try_for_each(|repository| self.drop_empty_repository(repository))?;
        Ok(forgotten)
    }

    /// Removes the row of a repository that holds nothing and remembers nothing.
    pub fn drop_empty_repository(&self, repository: RepositoryId) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "DELETE FROM repositories WHERE id = ?1 AND manifests = 0
                 AND NOT EXISTS (SELECT 1 FROM repository_blobs WHERE repository_id = ?1)
                 AND NOT EXISTS (SELECT 1 FROM trash WHERE repository_id = ?1)
                 AND NOT EXISTS (SELECT 1 FROM tag_history WHERE repository_id = ?1)",
            )?
            .execute([repository.0])?;
        Ok(())
    }

    /// Begins to apply the rules about a repository's tags: what is pushed from now on asks for another round.
    pub fn begin_review(&self, repository: RepositoryId) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE repositories SET review_at = ?2 WHERE id = ?1")?
            .execute(params![repository.0, UNDER_REVIEW])?;
        Ok(())
    }

    /// Says when the rules are to be applied next, unless something was pushed meanwhile.
    pub fn end_review(&self, repository: RepositoryId, at: Option<Millis>) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE repositories SET review_at = ?2 WHERE id = ?1 AND review_at = ?3",
            )?
            .execute(params![repository.0, at, UNDER_REVIEW])?;
        Ok(())
    }

    /// Gives up to `pages` free pages of the database back to the file system; says how many.
    pub fn vacuum(&self, pages: u64) -> Result<usize, Error> {
        let mut statement = self
            .connection
            .prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = statement.query([])?;
        let mut freed = 0;
        while rows.next()?.is_some() {
            freed += 1;
        }
        Ok(freed)
    }
}

fn reviewed(row: &Row<'_>) -> rusqlite::Result<(Cursor, RepositoryId, String)> {
    let (at, id): (Millis, i64) = (row.get(0)?, row.get(1)?);
    Ok(((at, id, 0), RepositoryId(id), row.get(2)?))
}

fn idle_manifest(row: &Row<'_>) -> rusqlite::Result<IdleManifest> {
    Ok(IdleManifest {
        id: ManifestId(row.get(0)?),
        repository: row.get(1)?,
        digest: digest(row, 2)?,
        size: row.get(3)?,
        idle_since: row.get(4)?,
        pulled_at: row.get(5)?,
        is_freed: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::connection::open_writer;
    use super::*;

    /// Two collectors find a blob; the first forgets it, and another one has its number by the time the second comes to it.
    #[test]
    fn a_blob_is_not_taken_for_the_one_that_had_its_number() {
        let directory = tempfile::tempdir().unwrap();
        let connection = open_writer(&directory.path().join("registry.db")).unwrap();
        let tx = WriteTx::new(&connection, false);
        let insert = |letter: &str| {
            let sql = "INSERT INTO blobs (id, digest, size, created_at, idle_since) VALUES (1, ?1, 10, 0, 0)";
            let digest = Digest::parse(&format!("sha256:{}", letter.repeat(64))).unwrap();
            connection.execute(sql, [digest.as_str()]).unwrap();
            IdleBlob {
                id: 1,
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
