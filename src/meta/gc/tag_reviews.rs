//! The times at which the rules about tags are applied to repositories.

use rusqlite::{Row, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::{Cursor, RepositoryId};
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::writer::WriteTx;

/// Marks a review under way in place of the time of the next one.
///
/// A time long past, so that an interrupted review is repeated; different from 0, which the triggers set.
const UNDER_REVIEW: Millis = 1;

impl Reader<'_> {
    /// Lists repositories whose tags are due for review by `now`.
    pub fn repositories_due_for_review(
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
                .query_map(params![now, after.time, after.number, limit], reviewed)?
                .collect()
        })
    }

    /// Lists repositories that hold a manifest, oldest first.
    pub fn all_repositories(
        &self,
        after: Cursor,
        limit: usize,
    ) -> Result<Vec<(Cursor, RepositoryId, String)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 0, id, name FROM repositories WHERE id > ?1 AND manifests > 0 ORDER BY id LIMIT ?2")?
                .query_map(params![after.number, limit], reviewed)?
                .collect()
        })
    }
}

impl WriteTx<'_> {
    /// Begins a review; a push from now on requests another one.
    pub fn begin_review(&self, repository: RepositoryId) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE repositories SET review_at = ?2 WHERE id = ?1")?
            .execute(params![repository.0, UNDER_REVIEW])?;
        Ok(())
    }

    /// Ends a review and schedules the next one, unless a push has requested one meanwhile.
    pub fn end_review(&self, repository: RepositoryId, at: Option<Millis>) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE repositories SET review_at = ?2 WHERE id = ?1 AND review_at = ?3",
            )?
            .execute(params![repository.0, at, UNDER_REVIEW])?;
        Ok(())
    }
}

fn reviewed(row: &Row<'_>) -> rusqlite::Result<(Cursor, RepositoryId, String)> {
    let (at, id): (Millis, i64) = (row.get(0)?, row.get(1)?);
    Ok((Cursor::after(at, id), RepositoryId(id), row.get(2)?))
}
