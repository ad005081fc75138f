//! Runs of what is fetched ahead from upstreams.

use rusqlite::params;

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::RepositoryName;

/// Content that is fetched ahead from an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Prefix of the upstream.
    pub upstream: String,
    pub url: String,
    /// Words for what it names.
    pub rule: String,
    /// Time from one run to the next.
    pub every: Millis,
}

/// The last runs of a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRow {
    pub sync: Sync,
    /// Begin of the run that is under way.
    pub begun_at: Option<Millis>,
    /// End of the last run that went through.
    pub completed_at: Option<Millis>,
    /// End of the last run that did not.
    pub failed_at: Option<Millis>,
    /// Reason, in a sentence, until a run goes through.
    pub failure: Option<String>,
    /// Runs that have failed since one went through.
    pub failures: u64,
    /// Repositories that the last run has read.
    pub repositories: u64,
    pub tags: u64,
    pub missing_tags: u64,
    /// Places in the other registry, each with what is wrong.
    pub problems: Vec<(String, String)>,
}

/// End of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncEnd {
    /// Reason why it did not go through, in a sentence.
    pub failure: Option<String>,
    pub repositories: u64,
    /// Tags there that the rule names.
    pub tags: u64,
    pub missing_tags: u64,
    /// Places in the other registry, each with what is wrong.
    pub problems: Vec<(String, String)>,
}

impl Reader<'_> {
    /// Returns all syncs, by upstream and rule.
    pub fn syncs(&self) -> Result<Vec<SyncRow>, Error> {
        self.query(|connection| {
            let mut rows = connection.prepare_cached(
                "SELECT upstream, url, rule, every, begun_at, completed_at, failed_at, failure, failures, repositories, tags,
                     missing_tags FROM syncs ORDER BY upstream, rule",
            )?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok(SyncRow {
                    sync: Sync {
                        upstream: row.get(0)?,
                        url: row.get(1)?,
                        rule: row.get(2)?,
                        every: row.get(3)?,
                    },
                    begun_at: row.get(4)?,
                    completed_at: row.get(5)?,
                    failed_at: row.get(6)?,
                    failure: row.get(7)?,
                    failures: row.get(8)?,
                    repositories: row.get(9)?,
                    tags: row.get(10)?,
                    missing_tags: row.get(11)?,
                    problems: Vec::new(),
                })
            };
            let mut syncs: Vec<_> = rows.query_map([], row)?.collect::<Result<_, _>>()?;
            let mut problems = connection.prepare_cached(
                "SELECT place, problem FROM sync_problems WHERE upstream = ?1 AND rule = ?2 ORDER BY place",
            )?;
            for found in &mut syncs {
                let key = [&found.sync.upstream, &found.sync.rule];
                let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
                found.problems = problems.query_map(key, pair)?.collect::<Result<_, _>>()?;
            }
            Ok(syncs)
        })
    }

    /// Lists the tags of a cached repository, and whether each is marked as gone upstream.
    pub fn cached_tags(&self, repository: &RepositoryName) -> Result<Vec<(String, bool)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT tags.name, gone_at IS NOT NULL FROM tags JOIN repositories ON repositories.id = repository_id
                     WHERE repositories.name = ?1 AND upstream IS NOT NULL ORDER BY tags.name",
                )?
                .query_map([repository.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }
}

impl WriteTx<'_> {
    /// Sets the syncs of a server. A new one, or one of another registry, has had no run.
    pub fn set_syncs(&self, syncs: &[Sync]) -> Result<(), Error> {
        let known: Vec<_> = syncs
            .iter()
            .map(|sync| [&*sync.upstream, &*sync.rule, &*sync.url])
            .collect();
        let known = serde_json::to_string(&known).unwrap_or_default();
        self.connection
            .prepare_cached(
                "DELETE FROM syncs WHERE NOT EXISTS (SELECT 1 FROM json_each(?1) WHERE value ->> 0 = upstream
                     AND value ->> 1 = rule AND value ->> 2 = url)",
            )?
            .execute([known])?;
        let mut write = self.connection.prepare_cached(
            "INSERT INTO syncs (upstream, rule, url, every) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET every = excluded.every WHERE every != excluded.every",
        )?;
        for sync in syncs {
            write.execute(params![sync.upstream, sync.rule, sync.url, sync.every])?;
        }
        Ok(())
    }

    /// Records that no run is under way.
    pub fn end_begun_sync(&self, upstream: &str, rule: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE syncs SET begun_at = NULL WHERE upstream = ?1 AND rule = ?2 AND begun_at IS NOT NULL",
            )?
            .execute([upstream, rule])?;
        Ok(())
    }

    /// Records that a run has begun.
    pub fn begin_sync(&self, upstream: &str, rule: &str, now: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE syncs SET begun_at = ?3 WHERE upstream = ?1 AND rule = ?2")?
            .execute(params![upstream, rule, now])?;
        Ok(())
    }

    /// Records how a run has ended. One that has failed before it read anything leaves the counts of the last one.
    pub fn end_sync(
        &self,
        upstream: &str,
        rule: &str,
        end: &SyncEnd,
        now: Millis,
    ) -> Result<(), Error> {
        let sql = match &end.failure {
            None => {
                "UPDATE syncs SET begun_at = NULL, completed_at = ?3, failure = ?4, failures = 0 WHERE upstream = ?1 AND rule = ?2"
            }
            Some(_) => {
                "UPDATE syncs SET begun_at = NULL, failed_at = ?3, failure = ?4, failures = failures + 1 WHERE upstream = ?1 AND rule = ?2"
            }
        };
        let changed = self.connection.prepare_cached(sql)?.execute(params![
            upstream,
            rule,
            now,
            end.failure
        ])?;
        let has_read = end.repositories > 0 || end.failure.is_none();
        // the rule was taken out meanwhile
        if changed == 0 || !has_read {
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "UPDATE syncs SET repositories = ?3, tags = ?4, missing_tags = ?5 WHERE upstream = ?1 AND rule = ?2",
            )?
            .execute(params![upstream, rule, end.repositories, end.tags, end.missing_tags])?;
        self.connection
            .prepare_cached("DELETE FROM sync_problems WHERE upstream = ?1 AND rule = ?2")?
            .execute([upstream, rule])?;
        let mut problem = self
            .connection
            .prepare_cached("INSERT OR REPLACE INTO sync_problems VALUES (?1, ?2, ?3, ?4)")?;
        for (place, text) in &end.problems {
            problem.execute(params![upstream, rule, place, text])?;
        }
        Ok(())
    }
}
