//! Adoptions: registries that are being moved here while clients use them, and how far that is.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, RepositoryName};

/// A registry that is being moved here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// Its prefix; empty where its repositories keep their names.
    pub name: String,
    pub url: String,
    /// Globs of repositories there; empty for all.
    pub allow: Vec<String>,
}

/// Progress of an adoption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptionRow {
    pub name: String,
    pub url: String,
    /// Walk through all repositories that is under way, from 1.
    pub pass: u64,
    /// True if the repositories are listed for this walk.
    pub is_listed: bool,
    pub failed_at: Option<Millis>,
    /// Reason why the walk does not go on, in a sentence.
    pub failure: Option<String>,
    pub completed_at: Option<Millis>,
    pub repositories: u64,
    /// Repositories of which nothing is missing.
    pub repositories_whole: u64,
    /// Tags of the repositories that were read.
    pub tags: u64,
    pub tags_missing: u64,
    /// Size of the blobs that are here, each once.
    pub bytes: u64,
    /// Size of the blobs that did not come.
    pub bytes_missing: u64,
    pub problems: u64,
}

/// A piece that could not be brought, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptionProblem {
    pub adoption: String,
    pub repository: String,
    /// Place in the other registry.
    pub place: String,
    pub problem: String,
}

/// A repository of another registry that is being moved here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptedRepository {
    /// Name here, or what would be it.
    pub name: String,
    /// Place in the other registry.
    pub place: String,
    /// Reason why it cannot be here.
    pub problem: Option<String>,
}

/// End of a walk through one repository.
#[derive(Clone, Debug, Default)]
pub struct WalkedRepository {
    /// Number of tags there.
    pub tags: u64,
    pub missing_tags: u64,
    pub missing_bytes: u64,
    /// True if something came that was not here.
    pub has_news: bool,
    /// Places in the other registry, each with what is wrong.
    pub problems: Vec<(String, String)>,
}

/// End of a walk through all repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkEnd {
    /// Everything is here.
    Complete,
    /// Something came; the next walk looks for more.
    HasNews,
    /// Nothing came any more, and something is missing.
    Lacking,
    /// There is no such adoption any more.
    Unknown,
}

impl PointReader<'_> {
    /// Reports whether an adoption goes on.
    pub fn is_adopting(&self, adoption: &str) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM adoptions WHERE name = ?1 AND completed_at IS NULL")?
                .exists([adoption])
        })
    }
}

impl Reader<'_> {
    /// Returns all adoptions, by name.
    pub fn adoptions(&self) -> Result<Vec<AdoptionRow>, Error> {
        self.query(|connection| {
            let mut rows = connection.prepare_cached(
                "SELECT name, url, pass, listed = pass, failed_at, failure, completed_at,
                     (SELECT count(*) FROM adopted_repositories WHERE adoption = name),
                     (SELECT count(*) FROM adopted_repositories AS whole WHERE adoption = name AND whole.pass > 0
                         AND missing_tags = 0 AND NOT EXISTS
                         (SELECT 1 FROM adoption_problems WHERE adoption = name AND repository = whole.repository)),
                     (SELECT coalesce(sum(tags), 0) FROM adopted_repositories WHERE adoption = name),
                     (SELECT coalesce(sum(missing_tags), 0) FROM adopted_repositories WHERE adoption = name),
                     (SELECT coalesce(sum(size), 0) FROM blobs WHERE id IN
                         (SELECT blob_id FROM adopted_repositories JOIN repositories ON repositories.name = repository
                          JOIN repository_blobs ON repository_id = repositories.id WHERE adoption = adoptions.name)),
                     (SELECT coalesce(sum(missing_bytes), 0) FROM adopted_repositories WHERE adoption = name),
                     (SELECT count(*) FROM adoption_problems WHERE adoption = name)
                 FROM adoptions ORDER BY name",
            )?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok(AdoptionRow {
                    name: row.get(0)?,
                    url: row.get(1)?,
                    pass: row.get(2)?,
                    is_listed: row.get(3)?,
                    failed_at: row.get(4)?,
                    failure: row.get(5)?,
                    completed_at: row.get(6)?,
                    repositories: row.get(7)?,
                    repositories_whole: row.get(8)?,
                    tags: row.get(9)?,
                    tags_missing: row.get(10)?,
                    bytes: row.get(11)?,
                    bytes_missing: row.get(12)?,
                    problems: row.get(13)?,
                })
            };
            rows.query_map([], row)?.collect()
        })
    }

    /// Returns the first problems of all adoptions.
    pub fn adoption_problems(&self, limit: usize) -> Result<Vec<AdoptionProblem>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT adoption, repository, place, problem FROM adoption_problems
                     ORDER BY adoption, repository, place LIMIT ?1",
                )?
                .query_map([limit], |row| {
                    Ok(AdoptionProblem {
                        adoption: row.get(0)?,
                        repository: row.get(1)?,
                        place: row.get(2)?,
                        problem: row.get(3)?,
                    })
                })?
                .collect()
        })
    }

    /// Returns the repositories that the walk under way has not read yet, by their names here.
    pub fn unwalked_repositories(&self, adoption: &str) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT repository FROM adoptions JOIN adopted_repositories AS known ON adoption = name
                     WHERE name = ?1 AND known.pass < adoptions.pass ORDER BY repository",
                )?
                .query_map([adoption], |row| row.get(0))?
                .collect()
        })
    }

    /// Returns the manifests of a repository that tags point at, or that have gaps.
    pub fn adoption_roots(&self, repository: &RepositoryName) -> Result<HashSet<Digest>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT digest FROM manifests WHERE repository_id = (SELECT id FROM repositories WHERE name = ?1)
                     AND (EXISTS (SELECT 1 FROM tags WHERE manifest_id = manifests.id)
                     OR EXISTS (SELECT 1 FROM absent_references WHERE manifest_id = manifests.id))",
                )?
                .query_map([repository.as_str()], |row| digest(row, 0))?
                .collect()
        })
    }
}

impl WriteTx<'_> {
    /// Sets the adoptions of a server. A new one, or one whose registry or names changed, begins from the start.
    pub fn set_adoptions(&self, adoptions: &[Adoption]) -> Result<(), Error> {
        let known: Vec<_> = adoptions.iter().map(described).collect();
        let known = serde_json::to_string(&known).unwrap_or_default();
        self.connection
            .prepare_cached(
                "DELETE FROM adoptions WHERE NOT EXISTS (SELECT 1 FROM json_each(?1) WHERE value ->> 0 = name
                     AND value ->> 1 = url AND value ->> 2 = allow)",
            )?
            .execute([&known])?;
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO adoptions (name, url, allow)
                 SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1)",
            )?
            .execute([&known])?;
        Ok(())
    }

    /// Records which repositories a walk reads.
    pub fn list_adopted(
        &self,
        adoption: &str,
        repositories: &[AdoptedRepository],
    ) -> Result<(), Error> {
        let names: Vec<_> = repositories.iter().map(|adopted| &adopted.name).collect();
        let names = serde_json::to_string(&names).unwrap_or_default();
        self.connection
            .prepare_cached(
                "DELETE FROM adopted_repositories
                 WHERE adoption = ?1 AND repository NOT IN (SELECT value FROM json_each(?2))",
            )?
            .execute([adoption, &names])?;
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO adopted_repositories (adoption, repository)
                 SELECT name, value FROM adoptions, json_each(?2) WHERE name = ?1",
            )?
            .execute([adoption, &names])?;
        for adopted in repositories {
            let Some(problem) = &adopted.problem else {
                continue;
            };
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO adoption_problems (adoption, repository, place, problem)
                     SELECT adoption, repository, ?3, ?4 FROM adopted_repositories WHERE adoption = ?1 AND repository = ?2",
                )?
                .execute([adoption, &adopted.name, &adopted.place, problem])?;
        }
        self.connection
            .prepare_cached("UPDATE adoptions SET listed = pass WHERE name = ?1")?
            .execute([adoption])?;
        Ok(())
    }

    /// Records that a walk has read a repository.
    pub fn record_walked(
        &self,
        adoption: &str,
        repository: &RepositoryName,
        walked: &WalkedRepository,
    ) -> Result<(), Error> {
        let key = params![adoption, repository.as_str()];
        self.connection
            .prepare_cached(
                "DELETE FROM adoption_problems WHERE adoption = ?1 AND repository = ?2",
            )?
            .execute(key)?;
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE adopted_repositories SET pass = (SELECT pass FROM adoptions WHERE name = ?1),
                     tags = ?3, missing_tags = ?4, missing_bytes = ?5
                 WHERE adoption = ?1 AND repository = ?2",
            )?
            .execute(params![
                adoption,
                repository.as_str(),
                walked.tags,
                walked.missing_tags,
                walked.missing_bytes
            ])?;
        if changed == 0 {
            // the adoption has ended meanwhile, or was begun anew
            return Ok(());
        }
        let mut problem = self.connection.prepare_cached(
            "INSERT OR REPLACE INTO adoption_problems (adoption, repository, place, problem) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (place, text) in &walked.problems {
            problem.execute(params![adoption, repository.as_str(), place, text])?;
        }
        self.connection
            .prepare_cached(
                "UPDATE adoptions SET has_news = max(has_news, ?2), failed_at = NULL, failure = NULL WHERE name = ?1",
            )?
            .execute(params![adoption, walked.has_news])?;
        Ok(())
    }

    /// Ends a walk that has read every repository: with the adoption, if nothing is missing, and else with the next walk.
    pub fn end_walk(&self, adoption: &str, now: Millis) -> Result<WalkEnd, Error> {
        let state = self
            .connection
            .prepare_cached(
                "SELECT has_news, EXISTS (SELECT 1 FROM adoption_problems WHERE adoption = name)
                     OR EXISTS (SELECT 1 FROM adopted_repositories WHERE adoption = name AND missing_tags > 0)
                 FROM adoptions WHERE name = ?1",
            )?
            .query_row([adoption], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let end = match state {
            None => return Ok(WalkEnd::Unknown),
            Some((true, _)) => WalkEnd::HasNews,
            Some((false, true)) => WalkEnd::Lacking,
            Some((false, false)) => WalkEnd::Complete,
        };
        let sql = match end {
            WalkEnd::Complete => {
                "UPDATE adoptions SET completed_at = ?2, failed_at = NULL, failure = NULL WHERE name = ?1"
            }
            _ => {
                "UPDATE adoptions SET pass = pass + 1, has_news = 0 WHERE name = ?1 AND ?2 IS NOT NULL"
            }
        };
        self.connection
            .prepare_cached(sql)?
            .execute(params![adoption, now])?;
        Ok(end)
    }

    /// Records why a walk does not go on.
    pub fn record_adoption_failure(
        &self,
        adoption: &str,
        failure: &str,
        now: Millis,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE adoptions SET failed_at = ?2, failure = ?3 WHERE name = ?1")?
            .execute(params![adoption, now, failure])?;
        Ok(())
    }
}

/// Returns the columns of an adoption.
fn described(adoption: &Adoption) -> [String; 3] {
    let allow = serde_json::to_string(&adoption.allow).unwrap_or_default();
    [adoption.name.clone(), adoption.url.clone(), allow]
}
