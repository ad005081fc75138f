//! Questions about endpoints and deliveries.

use rusqlite::{Row, params};

use crate::events::EventKinds;
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
    /// Number of events that wait. Filters by name are not known here, so it may be told of fewer.
    pub waiting: u64,
    /// Number of dead letters.
    pub dead: u64,
}

/// State of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Its last attempt failed, or it is sent again because somebody asked.
    Waiting,
    Delivered,
    Dead,
}

/// A delivery that was attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
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

/// Place in the list of deliveries: event and endpoint.
pub type DeliveryPlace = (i64, String);

/// Deliveries that are asked for.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub endpoint: Option<String>,
    /// Those alone whose last attempt failed.
    pub is_failed: bool,
}

impl Reader<'_> {
    /// Lists the endpoints that are told, by name.
    pub fn endpoints(&self) -> Result<Vec<EndpointRow>, Error> {
        let mut rows: Vec<EndpointRow> = self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT name, succeeded_at, failures,
                         (SELECT count(*) FROM attempts WHERE endpoint = name AND state <> 1 AND state = 2)
                     FROM endpoints ORDER BY name",
                )?
                .query_map([], |row| {
                    Ok(EndpointRow {
                        name: row.get(0)?,
                        succeeded_at: row.get(1)?,
                        failures: row.get(2)?,
                        waiting: 0,
                        dead: row.get(3)?,
                    })
                })?
                .collect()
        })?;
        for row in &mut rows {
            row.waiting = self.count_waiting(&row.name)?;
        }
        Ok(rows)
    }

    /// Counts the events that wait for an endpoint.
    pub fn count_waiting(&self, endpoint: &str) -> Result<u64, Error> {
        self.query(|connection| {
            let kinds = connection
                .prepare_cached("SELECT kinds FROM endpoints WHERE name = ?1")?
                .query_map([endpoint], |row| row.get(0))?
                .next()
                .transpose()?;
            let named = named(EventKinds::from_bits(kinds.unwrap_or_default()));
            let sql = format!(
                "SELECT (SELECT count(*) FROM events WHERE id > last_event AND kind IN ({named}))
                     + (SELECT count(*) FROM events CROSS JOIN queues ON endpoint = ?1
                            AND queues.repository = coalesce(events.repository, '') AND next_event <= events.id
                        WHERE events.id BETWEEN (SELECT min(next_event) FROM queues WHERE endpoint = ?1) AND last_event
                            AND kind IN ({named}))
                     + (SELECT count(*) FROM attempts WHERE endpoint = ?1 AND state = 3)
                 FROM endpoints WHERE name = ?1"
            );
            let mut rows = connection.prepare_cached(&sql)?;
            let found = rows.query_map([endpoint], |row| row.get(0))?.next();
            Ok(found.transpose()?.unwrap_or_default())
        })
    }

    /// Lists deliveries after a place in the list, the newest events first, at most `limit`.
    pub fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryPlace>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, Error> {
        self.query(|connection| {
            let endpoints = match &filter.endpoint {
                Some(endpoint) => vec![endpoint.clone()],
                None => connection
                    .prepare_cached("SELECT name FROM endpoints")?
                    .query_map([], |row| row.get(0))?
                    .collect::<rusqlite::Result<_>>()?,
            };
            let failed = if filter.is_failed { "AND state <> 1" } else { "" };
            let sql = format!(
                "SELECT endpoint, event_id, uuid, kind, repository, tag, digest, at, state, attempts,
                     due_at, tried_at, status, duration, answer
                 FROM attempts JOIN events ON events.id = event_id
                 WHERE endpoint = ?1 AND event_id <= ?2 {failed} ORDER BY event_id DESC LIMIT ?3"
            );
            let mut query = connection.prepare_cached(&sql)?;
            let mut found = Vec::new();
            for endpoint in endpoints {
                let newest = match after {
                    Some((event, name)) if endpoint >= *name => event - 1,
                    Some((event, _)) => *event,
                    None => i64::MAX,
                };
                let rows = query.query_map(params![endpoint, newest, limit], delivery)?;
                found.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            found.sort_by(|a, b| (b.event, &b.endpoint).cmp(&(a.event, &a.endpoint)));
            found.truncate(limit);
            Ok(found)
        })
    }
}

/// Returns the names of kinds in the database, as a list of SQL.
pub(super) fn named(kinds: EventKinds) -> String {
    let names: Vec<_> = kinds
        .iter()
        .map(|kind| format!("'{}'", kind.as_str()))
        .collect();
    names.join(", ")
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        endpoint: row.get(0)?,
        event: row.get(1)?,
        uuid: row.get(2)?,
        kind: row.get(3)?,
        repository: row.get(4)?,
        tag: row.get(5)?,
        digest: row.get(6)?,
        at: row.get(7)?,
        state: match row.get(8)? {
            0 | 3 => DeliveryState::Waiting,
            1 => DeliveryState::Delivered,
            _ => DeliveryState::Dead,
        },
        attempts: row.get(9)?,
        due_at: row.get(10)?,
        tried_at: row.get(11)?,
        status: row.get(12)?,
        duration: row.get(13)?,
        answer: row.get(14)?,
    })
}
