//! Upstreams as a server has seen them, and what is cached of each.

use rusqlite::{OptionalExtension, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, RepositoryName};

/// State of an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamState {
    /// Its prefix; empty where the whole registry is its cache.
    pub name: String,
    pub url: String,
    pub answered_at: Option<Millis>,
    pub failed_at: Option<Millis>,
    /// Failure at that time, in a sentence.
    pub failure: Option<String>,
    /// Requests that it allows in its period, and those that remain.
    pub quota_limit: Option<u64>,
    pub quota_remaining: Option<u64>,
    /// Pulls that needed no fetch.
    pub hits: u64,
    pub misses: u64,
    /// Pulls served with what is here although it failed.
    pub stale: u64,
    /// Bytes fetched from it.
    pub fetched: u64,
}

impl UpstreamState {
    /// Reports whether it counts anything, which is to be added to what is recorded.
    pub fn has_counts(&self) -> bool {
        [self.hits, self.misses, self.stale, self.fetched] != [0; 4]
    }
}

/// An upstream with what is cached of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRow {
    pub state: UpstreamState,
    pub repositories: u64,
    /// Size of their blobs, each once.
    pub bytes: u64,
    /// Size of those that their images need; the rest waits for its removal.
    pub kept: u64,
}

impl Reader<'_> {
    /// Returns the upstreams that the last server had, by name.
    pub fn upstreams(&self) -> Result<Vec<UpstreamRow>, Error> {
        self.query(|connection| {
            let mut rows = connection.prepare_cached(
                "WITH cached AS (
                     SELECT upstreams.name AS upstream, repositories.id AS repository FROM upstreams
                     JOIN repositories ON repositories.upstream IS NOT NULL
                     AND (upstreams.name = '' OR substr(repositories.name, 1, length(upstreams.name) + 1) = upstreams.name || '/')
                 )
                 SELECT name, url, answered_at, failed_at, failure, quota_limit, quota_remaining, hits, misses, stale, fetched,
                     (SELECT count(*) FROM cached WHERE upstream = name),
                     (SELECT coalesce(sum(size), 0) FROM blobs WHERE id IN
                         (SELECT blob_id FROM repository_blobs JOIN cached ON repository_id = repository WHERE upstream = name)),
                     (SELECT coalesce(sum(size), 0) FROM blobs WHERE id IN
                         (SELECT blob_id FROM repository_blobs JOIN cached ON repository_id = repository WHERE upstream = name AND holders > 0))
                 FROM upstreams ORDER BY name",
            )?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok(UpstreamRow {
                    state: UpstreamState {
                        name: row.get(0)?,
                        url: row.get(1)?,
                        answered_at: row.get(2)?,
                        failed_at: row.get(3)?,
                        failure: row.get(4)?,
                        quota_limit: row.get(5)?,
                        quota_remaining: row.get(6)?,
                        hits: row.get(7)?,
                        misses: row.get(8)?,
                        stale: row.get(9)?,
                        fetched: row.get(10)?,
                    },
                    repositories: row.get(11)?,
                    bytes: row.get(12)?,
                    kept: row.get(13)?,
                })
            };
            rows.query_map([], row)?.collect()
        })
    }

    /// Reports whether an upstream has failed since it last answered.
    pub fn is_upstream_failing(&self, name: &str) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM upstreams WHERE name = ?1 AND failed_at > coalesce(answered_at, 0)")?
                .exists([name])
        })
    }

    /// Returns the bytes of a manifest of a repository that names content which is not here; `None` if none does.
    pub fn manifest_lacking(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT bytes FROM repositories JOIN absent_references ON repository_id = repositories.id
                     JOIN manifest_bytes USING (manifest_id) WHERE name = ?1 AND digest = ?2 LIMIT 1",
                )?
                .query_row([repository.as_str(), digest.as_str()], |row| row.get(0))
                .optional()
        })
    }

    /// Lists cached tags that are gone upstream, with their repositories; at most `limit`.
    pub fn gone_tags(&self, limit: usize) -> Result<Vec<(String, String)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT repositories.name, tags.name FROM tags JOIN repositories ON repositories.id = repository_id
                     WHERE gone_at IS NOT NULL LIMIT ?1",
                )?
                .query_map([limit], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }
}

impl WriteTx<'_> {
    /// Records since when the upstream of a cached tag does not have it; `None` if it does.
    pub fn set_gone(
        &self,
        repository: &RepositoryName,
        tag: &str,
        since: Option<Millis>,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE tags SET gone_at = ?3 WHERE name = ?2 AND (gone_at IS NULL) <> (?3 IS NULL)
                 AND repository_id = (SELECT id FROM repositories WHERE name = ?1 AND upstream IS NOT NULL)",
            )?
            .execute(params![repository.as_str(), tag, since])?;
        Ok(())
    }

    /// Records the upstreams of a server. Its counts are added to those before; other upstreams are forgotten.
    pub fn record_upstreams(&self, states: &[UpstreamState]) -> Result<(), Error> {
        let names: Vec<_> = states.iter().map(|state| &state.name).collect();
        let names = serde_json::to_string(&names).unwrap_or_default();
        self.connection
            .prepare_cached(
                "DELETE FROM upstreams WHERE name NOT IN (SELECT value FROM json_each(?1))",
            )?
            .execute([names])?;
        let mut write = self.connection.prepare_cached(
            "INSERT INTO upstreams VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (name) DO UPDATE SET url = excluded.url,
                 answered_at = coalesce(excluded.answered_at, answered_at), failed_at = coalesce(excluded.failed_at, failed_at),
                 failure = coalesce(excluded.failure, failure), quota_limit = coalesce(excluded.quota_limit, quota_limit),
                 quota_remaining = coalesce(excluded.quota_remaining, quota_remaining), hits = hits + excluded.hits,
                 misses = misses + excluded.misses, stale = stale + excluded.stale, fetched = fetched + excluded.fetched",
        )?;
        for state in states {
            write.execute(params![
                state.name,
                state.url,
                state.answered_at,
                state.failed_at,
                state.failure,
                state.quota_limit,
                state.quota_remaining,
                state.hits,
                state.misses,
                state.stale,
                state.fetched,
            ])?;
        }
        Ok(())
    }
}
