//! Deletions that can no longer be undone.

use rusqlite::{OptionalExtension, Row, params};

use crate::meta::actor::Actor;
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::RepositoryId;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, RepositoryName};

/// The end of the time in which a deletion could be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoEnd {
    pub at: Millis,
    /// Name of the user who ended it before its time; `None` if the grace period did.
    pub by: Option<String>,
}

impl Reader<'_> {
    /// Returns the end of the undo of a manifest's deletion, if that is recorded.
    pub fn undo_end(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<UndoEnd>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT ended_at, ended_by FROM undo_ends WHERE repository = ?1 AND digest = ?2",
                )?
                .query_row(params![repository.as_str(), digest.as_str()], undo_end)
                .optional()
        })
    }

    /// Returns the last end of the undo of a manifest's deletion in any repository, with the repository.
    pub fn undo_end_anywhere(&self, digest: &Digest) -> Result<Option<(String, UndoEnd)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT ended_at, ended_by, repository FROM undo_ends WHERE digest = ?1 ORDER BY ended_at DESC LIMIT 1",
                )?
                .query_row([digest.as_str()], |row| Ok((row.get(2)?, undo_end(row)?)))
                .optional()
        })
    }

    /// Returns the last end of an undo, of one repository or of all.
    pub fn last_undo_end(
        &self,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<UndoEnd>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT ended_at, ended_by FROM undo_ends WHERE ?1 IS NULL OR repository = ?1
                     ORDER BY ended_at DESC LIMIT 1",
                )?
                .query_row([repository.map(RepositoryName::as_str)], undo_end)
                .optional()
        })
    }

    /// Lists digests that begin with `prefix` and whose undo has ended, in one repository or in all; at most `limit`.
    pub fn ended_digests(
        &self,
        repository: Option<&RepositoryName>,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<Digest>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT DISTINCT digest FROM undo_ends WHERE digest >= ?1 AND digest < ?1 || 'g'
                     AND (?2 IS NULL OR repository = ?2) LIMIT ?3",
                )?
                .query_map(
                    params![prefix, repository.map(RepositoryName::as_str), limit],
                    |row| digest(row, 0),
                )?
                .collect()
        })
    }

    /// Reports whether an undo that ended by `cutoff` is still recorded.
    pub fn has_expired_undo_ends(&self, cutoff: Millis) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM undo_ends WHERE ended_at <= ?1")?
            .exists([cutoff])?)
    }
}

impl WriteTx<'_> {
    /// Records that a manifest's deletion can no longer be undone.
    pub(super) fn record_undo_end(
        &self,
        repository: RepositoryId,
        digest: &Digest,
        by: Option<&Actor>,
        now: Millis,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO undo_ends (repository, digest, ended_at, ended_by)
                 SELECT name, ?2, ?3, ?4 FROM repositories WHERE id = ?1",
            )?
            .execute(params![
                repository.0,
                digest.as_str(),
                now,
                by.and_then(|by| by.name.as_deref())
            ])?;
        Ok(())
    }

    /// Forgets undos that ended by `cutoff`, at most `limit`; returns their number.
    pub fn forget_undo_ends(&self, cutoff: Millis, limit: usize) -> Result<usize, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "DELETE FROM undo_ends WHERE (repository, digest) IN (
                     SELECT repository, digest FROM undo_ends WHERE ended_at <= ?1 ORDER BY ended_at LIMIT ?2)",
            )?
            .execute(params![cutoff, limit])?)
    }
}

fn undo_end(row: &Row<'_>) -> rusqlite::Result<UndoEnd> {
    Ok(UndoEnd {
        at: row.get(0)?,
        by: row.get(1)?,
    })
}
