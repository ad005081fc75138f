//! Endpoints: which there are, what they listen to, and how far each was told.

use rusqlite::{OptionalExtension, params};

use crate::events::{Event, EventKinds};
use crate::meta::error::Error;
use crate::meta::outbox::attempts::{Attempt, AttemptOutcome};
use crate::meta::outbox::events::{COLUMNS, event};
use crate::meta::outbox::queues::Queue;
use crate::meta::sqlite::reader::PointReader;
use crate::meta::sqlite::writer::WriteTx;

/// An endpoint of a server, and the kinds that it listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListeningEndpoint {
    pub name: String,
    pub kinds: EventKinds,
}

/// An event that an endpoint was not told of yet.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub event: Event,
    /// True if the endpoint is behind with its repository.
    pub is_behind: bool,
}

/// Progress of an endpoint since the last record of it.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub attempts: Vec<Attempt>,
    /// Repositories that it is behind with.
    pub behind: Vec<Queue>,
    /// Repositories that it is not behind with any more.
    pub caught_up: Vec<String>,
    /// Number of the event up to which all are told, or belong to a repository that it is behind with.
    pub cursor: i64,
}

impl PointReader<'_> {
    /// Returns the number of the event up to which an endpoint was told; `None` if it is not known.
    pub fn endpoint_cursor(&self, endpoint: &str) -> Result<Option<i64>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT last_event FROM endpoints WHERE name = ?1")?
                .query_row([endpoint], |row| row.get(0))
                .optional()
        })
    }

    /// Lists the endpoints that are told, by name.
    pub fn listening_endpoints(&self) -> Result<Vec<ListeningEndpoint>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT name, kinds FROM endpoints ORDER BY name")?
                .query_map([], |row| {
                    Ok(ListeningEndpoint {
                        name: row.get(0)?,
                        kinds: EventKinds::from_bits(row.get(1)?),
                    })
                })?
                .collect()
        })
    }

    /// Lists events after the one numbered `after`, oldest first, at most `limit`.
    pub fn new_events(
        &self,
        endpoint: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<NewEvent>, Error> {
        let sql = format!(
            "SELECT {COLUMNS}, EXISTS (SELECT 1 FROM queues WHERE endpoint = ?1 AND queues.repository = coalesce(events.repository, ''))
             FROM events WHERE id > ?2 ORDER BY id LIMIT ?3"
        );
        self.query(|connection| {
            connection
                .prepare_cached(&sql)?
                .query_map(params![endpoint, after, limit], |row| {
                    Ok(NewEvent {
                        event: event(row)?,
                        is_behind: row.get(16)?,
                    })
                })?
                .collect()
        })
    }
}

impl WriteTx<'_> {
    /// Records the endpoints of the server that delivers. One that is new is told of what happens from now on.
    pub fn set_endpoints(&self, endpoints: &[ListeningEndpoint]) -> Result<(), Error> {
        let last = self.last_event()?;
        let mut add = self.connection.prepare_cached(
            "INSERT INTO endpoints (name, last_event, kinds) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET kinds = excluded.kinds",
        )?;
        for endpoint in endpoints {
            add.execute(params![endpoint.name, last, endpoint.kinds.bits()])?;
        }
        self.outbox.forget();
        Ok(())
    }

    /// Forgets an endpoint, and what waits for it; its attempts are removed by [`Self::forget_attempts`].
    pub fn forget_endpoint(&self, endpoint: &str) -> Result<(), Error> {
        for sql in [
            "DELETE FROM endpoints WHERE name = ?1",
            "DELETE FROM queues WHERE endpoint = ?1",
        ] {
            self.connection.prepare_cached(sql)?.execute([endpoint])?;
        }
        self.outbox.forget();
        Ok(())
    }

    /// Records what an endpoint was told; nothing if it is not known any more.
    pub fn record_told(&self, endpoint: &str, told: &Told) -> Result<(), Error> {
        let last_success = told
            .attempts
            .iter()
            .rev()
            .find(|attempt| attempt.outcome == AttemptOutcome::Delivered);
        let failures = told
            .attempts
            .iter()
            .rev()
            .take_while(|attempt| attempt.outcome != AttemptOutcome::Delivered)
            .count();
        let known = self
            .connection
            .prepare_cached(
                "UPDATE endpoints SET last_event = max(last_event, ?2), succeeded_at = coalesce(?4, succeeded_at),
                     failures = ?3 + CASE WHEN ?4 IS NULL THEN failures ELSE 0 END WHERE name = ?1",
            )?
            .execute(params![
                endpoint,
                told.cursor,
                failures,
                last_success.map(|attempt| attempt.at)
            ])?;
        if known == 0 {
            return Ok(());
        }
        self.record_attempts(endpoint, &told.attempts)?;
        self.set_queues(endpoint, &told.behind, &told.caught_up)
    }
}
