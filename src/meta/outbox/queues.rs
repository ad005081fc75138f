//! Queues: repositories whose events an endpoint was not told of in time.
//!
//! A queue is a place in the list of events, whatever waits there: a receiver that fails costs one row for each repository.

use rusqlite::types::Type;
use rusqlite::{Row, params};

use crate::events::Event;
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::outbox::events::{COLUMNS, event};
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::writer::WriteTx;

/// Place from which on an endpoint is behind with a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Empty for events of the whole registry.
    pub repository: String,
    /// Number of the event from which on its events wait.
    pub next: i64,
    pub due_at: Millis,
    /// Attempts that failed since the last success.
    pub attempts: u32,
    /// Time that the endpoint was given between them, in milliseconds.
    pub waited: Millis,
    /// Events that replace earlier ones, with the digest before those.
    pub carried: Vec<(i64, Option<String>)>,
}

impl PointReader<'_> {
    /// Lists the queues of an endpoint, the first due first, at most `limit`.
    pub fn queues(&self, endpoint: &str, limit: usize) -> Result<Vec<Queue>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT repository, next_event, due_at, attempts, waited, carried FROM queues
                     WHERE endpoint = ?1 ORDER BY due_at LIMIT ?2",
                )?
                .query_map(params![endpoint, limit], queue)?
                .collect()
        })
    }
}

impl Reader<'_> {
    /// Lists events of a repository from one number to another, in their order, at most `limit`.
    pub fn events_of(
        &self,
        repository: &str,
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM events WHERE id BETWEEN ?2 AND ?3 AND repository IS nullif(?1, '') ORDER BY id LIMIT ?4"
        );
        self.query(|connection| {
            connection
                .prepare_cached(&sql)?
                .query_map(params![repository, from, to, limit], event)?
                .collect()
        })
    }
}

impl WriteTx<'_> {
    /// Records the repositories that an endpoint is behind with, and those that it is not behind with any more.
    pub(super) fn set_queues(
        &self,
        endpoint: &str,
        behind: &[Queue],
        caught_up: &[String],
    ) -> Result<(), Error> {
        for queue in behind {
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO queues (endpoint, repository, next_event, due_at, attempts, waited, carried)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    endpoint,
                    queue.repository,
                    queue.next,
                    queue.due_at,
                    queue.attempts,
                    queue.waited,
                    serde_json::to_string(&queue.carried).unwrap_or_default(),
                ])?;
        }
        for repository in caught_up {
            self.connection
                .prepare_cached("DELETE FROM queues WHERE endpoint = ?1 AND repository = ?2")?
                .execute([endpoint, repository])?;
        }
        Ok(())
    }
}

fn queue(row: &Row<'_>) -> rusqlite::Result<Queue> {
    let carried: String = row.get(5)?;
    let carried = serde_json::from_str(&carried);
    let carried = carried.map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(5, Type::Text, Box::new(error))
    })?;
    Ok(Queue {
        repository: row.get(0)?,
        next: row.get(1)?,
        due_at: row.get(2)?,
        attempts: row.get(3)?,
        waited: row.get(4)?,
        carried,
    })
}
