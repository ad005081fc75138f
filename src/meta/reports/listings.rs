//! Lists, read by key: the cost of a page does not grow with the store.

use rusqlite::{OptionalExtension, Row, params};

use crate::meta::actor::{Actor, actor};
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::oci::{Digest, RepositoryName};

/// An entry of the list of repositories.
#[derive(Clone, Debug)]
pub struct RepositoryRow {
    pub name: String,
    pub tags: u64,
    pub manifests: u64,
    /// Size of the blobs that its manifests need, each counted once, in bytes.
    pub size: u64,
    /// Time of the last push of a manifest.
    pub pushed_at: Millis,
    /// Time of the last pull of a manifest.
    pub pulled_at: Option<Millis>,
    /// Time of the last check of a manifest, as of a tag.
    pub checked_at: Option<Millis>,
    /// URL of the upstream of which it is a cache.
    pub upstream: Option<String>,
}

/// An entry of the list of tags.
#[derive(Clone, Debug)]
pub struct TagRow {
    pub name: String,
    pub digest: Digest,
    /// Time of the push that gave the tag its target; a restore does not change it.
    pub pushed_at: Millis,
    /// Time of the last pull; the server records pulls with a delay of some seconds.
    pub pulled_at: Option<Millis>,
    pub pulls: u64,
    /// Time of the last HEAD, or of the last GET that was answered with 304.
    pub checked_at: Option<Millis>,
    /// Time of the restore that gave it its target, if one did.
    pub restored_at: Option<Millis>,
    /// URL of the upstream of which its repository is a cache.
    pub upstream: Option<String>,
}

/// A manifest that has another one as its subject.
#[derive(Clone, Debug)]
pub struct ReferrerRow {
    pub digest: Digest,
    pub media_type: String,
    pub artifact_type: Option<String>,
    pub bytes: Vec<u8>,
}

/// Names of repositories in a range that contain a text.
const REPOSITORY_NAMES: &str = "SELECT name FROM repositories
     WHERE manifests > 0 AND name >= ?1 AND name < ?2 AND instr(name, ?3) > 0
     ORDER BY name LIMIT ?4";

impl Reader<'_> {
    /// Returns the details of a repository; `None` if it holds no manifest.
    pub fn repository_row(&self, name: &str) -> Result<Option<RepositoryRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT name, (SELECT count(*) FROM tags WHERE repository_id = repositories.id), manifests,
                            (SELECT coalesce(sum(size), 0) FROM repository_blobs AS link JOIN blobs ON blobs.id = blob_id
                             WHERE repository_id = repositories.id AND link.holders > 0),
                            (SELECT max(pushed_at) FROM manifests WHERE repository_id = repositories.id),
                            (SELECT max(pulled_at) FROM manifests WHERE repository_id = repositories.id),
                            (SELECT max(checked_at) FROM manifests WHERE repository_id = repositories.id), upstream
                     FROM repositories WHERE manifests > 0 AND name = ?1",
                )?
                .query_row([name], |row| {
                    Ok(RepositoryRow {
                        name: row.get(0)?,
                        tags: row.get(1)?,
                        manifests: row.get(2)?,
                        size: row.get(3)?,
                        pushed_at: row.get(4)?,
                        pulled_at: row.get(5)?,
                        checked_at: row.get(6)?,
                        upstream: row.get(7)?,
                    })
                })
                .optional()
        })
    }

    /// Reports whether any repository is a cache of an upstream.
    pub fn has_caches(&self) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM repositories WHERE upstream IS NOT NULL LIMIT 1")?
                .exists([])
        })
    }

    /// Lists names of repositories that hold a manifest, begin with `prefix` and contain `term`.
    ///
    /// They are in byte order, after `after`.
    pub fn repository_names(
        &self,
        prefix: &str,
        after: &str,
        term: &str,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        // one lower bound: of two, SQLite begins at the first, and steps over what stands before the second
        let next = format!("{after}\0");
        let from = if after.is_empty() {
            prefix
        } else {
            prefix.max(&next)
        };
        // names are ASCII
        let end = format!("{prefix}\u{7f}");
        self.query(|connection| {
            connection
                .prepare_cached(REPOSITORY_NAMES)?
                .query_map(params![from, end, term, limit], |row| row.get(0))?
                .collect()
        })
    }

    /// Lists names of tags, in byte order, after `after`.
    pub fn tag_names(
        &self,
        repository: &RepositoryName,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT tags.name FROM repositories JOIN tags ON tags.repository_id = repositories.id AND tags.name > ?2
                     WHERE repositories.name = ?1 ORDER BY tags.name LIMIT ?3",
                )?
                .query_map(params![repository.as_str(), after, limit], |row| row.get(0))?
                .collect()
        })
    }

    /// Like [`Self::tag_names`], with details of each.
    pub fn tags(
        &self,
        repository: &RepositoryName,
        after: &str,
        limit: usize,
    ) -> Result<Vec<TagRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT tags.name, manifests.digest, tags.pushed_at, tags.pulled_at, tags.pulls, tags.checked_at, tags.restored_at, upstream
                     FROM repositories
                     JOIN tags ON tags.repository_id = repositories.id AND tags.name > ?2
                     JOIN manifests ON manifests.id = tags.manifest_id
                     WHERE repositories.name = ?1 ORDER BY tags.name LIMIT ?3",
                )?
                .query_map(params![repository.as_str(), after, limit], tag_row)?
                .collect()
        })
    }

    /// Returns the details of one tag.
    pub fn tag_row(&self, repository: &RepositoryName, tag: &str) -> Result<Option<TagRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT tags.name, manifests.digest, tags.pushed_at, tags.pulled_at, tags.pulls, tags.checked_at, tags.restored_at, upstream
                     FROM repositories
                     JOIN tags ON tags.repository_id = repositories.id AND tags.name = ?2
                     JOIN manifests ON manifests.id = tags.manifest_id WHERE repositories.name = ?1",
                )?
                .query_row(params![repository.as_str(), tag], tag_row)
                .optional()
        })
    }

    /// Returns the details of one tag, and who made it point where it points.
    pub fn tag_with_setter(
        &self,
        repository: &RepositoryName,
        tag: &str,
    ) -> Result<Option<(TagRow, Actor)>, Error> {
        let Some(row) = self.tag_row(repository, tag)? else {
            return Ok(None);
        };
        let setter = self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT set_by, set_from FROM repositories
                     JOIN tags ON tags.repository_id = repositories.id AND tags.name = ?2 WHERE repositories.name = ?1",
                )?
                .query_row(params![repository.as_str(), tag], |row| actor(row, 0))
                .optional()
        })?;
        Ok(setter.map(|setter| (row, setter)))
    }

    /// Returns who last made a tag of a repository point where it points; `None` without tags.
    pub fn last_setter(&self, repository: &RepositoryName) -> Result<Option<Actor>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT set_by, set_from FROM tags
                     WHERE repository_id = (SELECT id FROM repositories WHERE name = ?1) ORDER BY updated_at DESC LIMIT 1",
                )?
                .query_row([repository.as_str()], |row| actor(row, 0))
                .optional()
        })
    }

    /// Lists the types of the artifacts whose subject is a manifest, each once.
    pub fn referrer_types(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT DISTINCT coalesce(artifact_type, media_type) FROM repositories
                     JOIN manifests ON manifests.repository_id = repositories.id AND subject = ?2
                     WHERE repositories.name = ?1 LIMIT 20",
                )?
                .query_map(params![repository.as_str(), subject.as_str()], |row| {
                    row.get(0)
                })?
                .collect()
        })
    }

    /// Lists the tags that point at a manifest, in byte order.
    pub fn tags_of(
        &self,
        repository: &RepositoryName,
        manifest: &Digest,
    ) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT tags.name FROM repositories
                     JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = ?2
                     JOIN tags ON tags.manifest_id = manifests.id
                     WHERE repositories.name = ?1 ORDER BY tags.name",
                )?
                .query_map(params![repository.as_str(), manifest.as_str()], |row| row.get(0))?
                .collect()
        })
    }

    /// Lists manifests whose subject is `subject`, by digest, after `after`; of one artifact type, if given.
    pub fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<ReferrerRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT manifests.digest, media_type, artifact_type, bytes FROM repositories
                     JOIN manifests ON manifests.repository_id = repositories.id AND subject = ?2 AND manifests.digest > ?4
                         AND damage IS NULL
                     JOIN manifest_bytes ON manifest_id = manifests.id
                     WHERE repositories.name = ?1 AND (?3 IS NULL OR artifact_type = ?3)
                     ORDER BY manifests.digest LIMIT ?5",
                )?
                .query_map(params![repository.as_str(), subject.as_str(), artifact_type, after, limit], |row| {
                    Ok(ReferrerRow { digest: digest(row, 0)?, media_type: row.get(1)?, artifact_type: row.get(2)?, bytes: row.get(3)? })
                })?
                .collect()
        })
    }
}

fn tag_row(row: &Row<'_>) -> rusqlite::Result<TagRow> {
    Ok(TagRow {
        name: row.get(0)?,
        digest: digest(row, 1)?,
        pushed_at: row.get(2)?,
        pulled_at: row.get(3)?,
        pulls: row.get(4)?,
        checked_at: row.get(5)?,
        restored_at: row.get(6)?,
        upstream: row.get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::meta::sqlite::connection::open_writer;

    /// A page costs the names in its range, however many stand before and behind it.
    #[test]
    fn a_page_steps_over_no_other_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let connection = open_writer(&path).unwrap();
        connection
            .execute_batch(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
                 INSERT INTO repositories (name, manifests, created_at)
                 SELECT CASE WHEN i <= 10 THEN 'm/' WHEN i % 2 THEN 'a/' ELSE 'z/' END || i, 1, 0 FROM n;",
            )
            .unwrap();
        let reader = Reader::new(&connection);
        let steps = |prefix: &str, after: &str| {
            let found = reader.repository_names(prefix, after, "", 100).unwrap();
            let statement = connection.prepare_cached(REPOSITORY_NAMES).unwrap();
            (found.len(), statement.reset_status(StatementStatus::VmStep))
        };
        for (prefix, after, number) in [
            ("m/", "", 10),
            ("m/", "m/1", 9),
            ("m/", "m/9", 0),
            ("m/", "a/5", 10),
            ("m/", "z/5", 0),
        ] {
            let (found, steps) = steps(prefix, after);
            assert!(steps < 300, "{prefix} {after}: {steps} steps");
            assert_eq!(found, number, "{prefix} {after}");
        }
    }
}
