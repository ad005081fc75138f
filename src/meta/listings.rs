//! Pages: every list is read by key, a page a query, so that its cost is that of the page and not of the store.

use rusqlite::params;

use super::manifests::digest;
use super::{Error, Millis, Reader};
use crate::oci::{Digest, RepositoryName};

/// A line of the list of repositories.
#[derive(Clone, Debug)]
pub struct RepositoryRow {
    pub name: String,
    pub tags: u64,
    pub manifests: u64,
    /// When a manifest was last pushed to it.
    pub pushed_at: Millis,
}

/// A line of the list of tags.
#[derive(Clone, Debug)]
pub struct TagRow {
    pub name: String,
    pub digest: Digest,
    /// When the tag was last pointed at another manifest.
    pub updated_at: Millis,
    /// When it was last pulled, as far as is recorded: that may take the server some seconds.
    pub pulled_at: Option<Millis>,
    pub pulls: u64,
}

/// A manifest about another one.
#[derive(Clone, Debug)]
pub struct ReferrerRow {
    pub digest: Digest,
    pub media_type: String,
    pub artifact_type: Option<String>,
    pub bytes: Vec<u8>,
}

impl Reader<'_> {
    /// Names of repositories after `after` that hold a manifest, in byte order.
    pub fn catalog(&self, after: &str, limit: usize) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT name FROM repositories WHERE manifests > 0 AND name > ?1 ORDER BY name LIMIT ?2")?
                .query_map(params![after, limit], |row| row.get(0))?
                .collect()
        })
    }

    /// As [`Self::catalog`], with what a person wants to see of each.
    pub fn repositories(&self, after: &str, limit: usize) -> Result<Vec<RepositoryRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT name, (SELECT count(*) FROM tags WHERE repository_id = repositories.id), manifests,
                            (SELECT max(pushed_at) FROM manifests WHERE repository_id = repositories.id)
                     FROM repositories WHERE manifests > 0 AND name > ?1 ORDER BY name LIMIT ?2",
                )?
                .query_map(params![after, limit], |row| {
                    Ok(RepositoryRow { name: row.get(0)?, tags: row.get(1)?, manifests: row.get(2)?, pushed_at: row.get(3)? })
                })?
                .collect()
        })
    }

    /// Names of repositories that contain `term`, in byte order, at most `limit` after the first `skip`.
    ///
    /// The one list that is counted through rather than read by key, because the API it serves numbers its pages.
    pub fn search(&self, term: &str, limit: usize, skip: usize) -> Result<Vec<String>, Error> {
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT name FROM repositories WHERE manifests > 0 AND instr(name, ?1) > 0 ORDER BY name LIMIT ?2 OFFSET ?3",
                )?
                .query_map(params![term, limit, skip], |row| row.get(0))?
                .collect()
        })
    }

    /// Names of tags after `after`, in byte order.
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

    /// As [`Self::tag_names`], with what they point at.
    pub fn tags(
        &self,
        repository: &RepositoryName,
        after: &str,
        limit: usize,
    ) -> Result<Vec<TagRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT tags.name, manifests.digest, updated_at, tags.pulled_at, tags.pulls FROM repositories
                     JOIN tags ON tags.repository_id = repositories.id AND tags.name > ?2
                     JOIN manifests ON manifests.id = tags.manifest_id
                     WHERE repositories.name = ?1 ORDER BY tags.name LIMIT ?3",
                )?
                .query_map(params![repository.as_str(), after, limit], |row| {
                    Ok(TagRow {
                        name: row.get(0)?,
                        digest: digest(row, 1)?,
                        updated_at: row.get(2)?,
                        pulled_at: row.get(3)?,
                        pulls: row.get(4)?,
                    })
                })?
                .collect()
        })
    }

    /// The tags that point at a manifest, in byte order.
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

    /// Manifests whose subject is `subject`, by digest, after `after`; only of one type where `artifact_type` says so.
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
