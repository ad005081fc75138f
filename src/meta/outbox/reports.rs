//! Questions about endpoints and deliveries.

use rusqlite::{Row, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::Reader;

/// An endpoint, as far as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRow {
    pub name: String,
    pub succeeded_at: Option<Millis>,
    /// Attempts that failed since.
    pub failures: u64,
    /// Number of deliveries that wait.
    pub waiting: u64,
    /// Number of dead letters.
    pub dead: u64,
}

/// State of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    Waiting,
    Delivered,
    Dead,
}

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    pub id: i64,
    pub endpoint: String,
    pub event: i64,
    /// Id of the event (a UUID), as the endpoint is told it.
    pub uuid: String,
    /// As in [`EventKind::as_str`](crate::events::EventKind::as_str).
    pub kind: String,
    pub repository: Option<String>,
    pub tag: Option<String>,
    pub digest: Option<String>,
    pub at: Millis,
    pub state: DeliveryState,
    pub attempts: u64,
    /// Time of the next attempt, while it waits.
    pub due_at: Millis,
    pub tried_at: Option<Millis>,
    pub status: Option<u16>,
    /// Of the last attempt, in milliseconds.
    pub duration: Option<u64>,
    /// First bytes of the last answer, or the error.
    pub answer: Option<String>,
}

/// Deliveries that are asked for.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub endpoint: Option<String>,
    /// Those alone whose last attempt failed.
    pub is_failed: bool,
}

impl Reader<'_> {
    /// Lists the endpoints that a server has had, by name.
    pub fn endpoints(&self) -> Result<Vec<EndpointRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT name, succeeded_at, failures,
                         (SELECT count(*) FROM deliveries WHERE endpoint = name AND state = 0),
                         (SELECT count(*) FROM deliveries WHERE endpoint = name AND state = 2)
                     FROM endpoints ORDER BY name",
                )?
                .query_map([], |row| {
                    Ok(EndpointRow {
                        name: row.get(0)?,
                        succeeded_at: row.get(1)?,
                        failures: row.get(2)?,
                        waiting: row.get(3)?,
                        dead: row.get(4)?,
                    })
                })?
                .collect()
        })
    }

    /// Counts the deliveries to an endpoint that wait.
    pub fn count_waiting(&self, endpoint: &str) -> Result<u64, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT count(*) FROM deliveries WHERE endpoint = ?1 AND state = 0",
                )?
                .query_row([endpoint], |row| row.get(0))
        })
    }

    /// Lists deliveries older than the one numbered `before`, newest first, at most `limit`.
    pub fn deliveries(
        &self,
        filter: &DeliveryFilter,
        before: i64,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT deliveries.id, endpoint, event_id, uuid, kind, events.repository, tag, digest, at, state, attempts,
                         due_at, tried_at, status, duration, answer
                     FROM deliveries JOIN events ON events.id = event_id
                     WHERE deliveries.id < ?1 AND (?2 IS NULL OR endpoint = ?2)
                     AND (NOT ?3 OR state = 2 OR (state = 0 AND attempts > 0))
                     ORDER BY deliveries.id DESC LIMIT ?4",
                )?
                .query_map(
                    params![before, filter.endpoint, filter.is_failed, limit],
                    delivery,
                )?
                .collect()
        })
    }
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        id: row.get(0)?,
        endpoint: row.get(1)?,
        event: row.get(2)?,
        uuid: row.get(3)?,
        kind: row.get(4)?,
        repository: row.get(5)?,
        tag: row.get(6)?,
        digest: row.get(7)?,
        at: row.get(8)?,
        state: match row.get(9)? {
            0 => DeliveryState::Waiting,
            1 => DeliveryState::Delivered,
            _ => DeliveryState::Dead,
        },
        attempts: row.get(10)?,
        due_at: row.get(11)?,
        tried_at: row.get(12)?,
        status: row.get(13)?,
        duration: row.get(14)?,
        answer: row.get(15)?,
    })
}
