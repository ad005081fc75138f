//! Deliveries: an event for an endpoint, and what became of it.

use rusqlite::{OptionalExtension, params};

use crate::events::{Event, EventKinds};
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::outbox::events::{COLUMNS, event};
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::writer::WriteTx;

/// An event that an endpoint is told of.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    pub event: Event,
    pub due_at: Millis,
    /// It replaces an event of the same tag that is not due yet.
    pub collapses: bool,
}

/// A delivery that waits.
#[derive(Clone, Debug)]
pub struct WaitingDelivery {
    /// With the former digest of the first of several collapsed events.
    pub event: Event,
    pub attempts: u32,
    /// Time from which its age counts.
    pub since: Millis,
    pub due_at: Millis,
}

/// State of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    Delivered,
    /// It is tried again at this time.
    Failed(Millis),
    /// It is not tried again.
    Dead,
}

/// An attempt to deliver.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub event: i64,
    pub at: Millis,
    pub outcome: AttemptOutcome,
    /// Status of the answer, if there was one.
    pub status: Option<u16>,
    /// In milliseconds.
    pub duration: u64,
    /// First bytes of the answer, or the error.
    pub answer: String,
}

impl PointReader<'_> {
    /// Returns the number of the last event that was shared out to an endpoint; `None` if it is new.
    pub fn endpoint_cursor(&self, endpoint: &str) -> Result<Option<i64>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT last_event FROM endpoints WHERE name = ?1")?
                .query_row([endpoint], |row| row.get(0))
                .optional()
        })
    }
}

impl Reader<'_> {
    /// Lists repositories whose oldest waiting delivery to an endpoint is due, the longest due first, at most `limit`.
    pub fn due_repositories(
        &self,
        endpoint: &str,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            connection
                // repository by repository: a queue may be long
                .prepare_cached(
                    "WITH RECURSIVE head (repository) AS (
                         SELECT min(repository) FROM deliveries WHERE endpoint = ?1 AND state = 0
                         UNION ALL SELECT (SELECT min(repository) FROM deliveries
                             WHERE endpoint = ?1 AND state = 0 AND repository > head.repository)
                         FROM head WHERE head.repository IS NOT NULL
                     )
                     SELECT repository FROM (
                         SELECT repository, (SELECT due_at FROM deliveries WHERE endpoint = ?1 AND state = 0
                             AND repository = head.repository ORDER BY event_id LIMIT 1) AS due_at
                         FROM head WHERE repository IS NOT NULL
                     ) WHERE due_at <= ?2 ORDER BY due_at LIMIT ?3",
                )?
                .query_map(params![endpoint, now, limit], |row| row.get(0))?
                .collect()
        })
    }

    /// Lists waiting deliveries of a repository in their order, at most `limit`.
    pub fn waiting_deliveries(
        &self,
        endpoint: &str,
        repository: &str,
        limit: usize,
    ) -> Result<Vec<WaitingDelivery>, Error> {
        let sql = format!(
            "SELECT {COLUMNS}, coalesce(deliveries.former, events.former), attempts, since, due_at
             FROM deliveries JOIN events ON events.id = event_id
             WHERE endpoint = ?1 AND state = 0 AND deliveries.repository = ?2 ORDER BY event_id LIMIT ?3"
        );
        self.query(|connection| {
            connection
                .prepare_cached(&sql)?
                .query_map(params![endpoint, repository, limit], |row| {
                    let mut event = event(row)?;
                    event.former = row.get(16)?;
                    Ok(WaitingDelivery {
                        event,
                        attempts: row.get(17)?,
                        since: row.get(18)?,
                        due_at: row.get(19)?,
                    })
                })?
                .collect()
        })
    }
}

impl WriteTx<'_> {
    /// Records the endpoints of a server. One that is new is told of what happens from now on.
    pub fn set_endpoints(
        &self,
        names: &[String],
        kinds: EventKinds,
        now: Millis,
    ) -> Result<(), Error> {
        self.set_listened(kinds)?;
        let last = self.last_event()?;
        let mut add = self.connection.prepare_cached(
            "INSERT INTO endpoints (name, last_event, seen_at) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at",
        )?;
        for name in names {
            add.execute(params![name, last, now])?;
        }
        Ok(())
    }

    /// Shares out events to an endpoint, up to the one numbered `last`.
    pub fn share_out(
        &self,
        endpoint: &str,
        deliveries: &[NewDelivery],
        last: i64,
        now: Millis,
    ) -> Result<(), Error> {
        for new in deliveries {
            let repository = new.event.repository.as_deref().unwrap_or_default();
            let replaced = match new.collapses {
                true => self.replace_waiting(endpoint, &new.event, now)?,
                false => None,
            };
            let (due_at, former) = match replaced {
                Some((due_at, former)) => (due_at, former),
                None => (new.due_at, None),
            };
            self.connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO deliveries (endpoint, event_id, repository, since, due_at, former)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![endpoint, new.event.id, repository, now, due_at, former])?;
        }
        self.connection
            .prepare_cached(
                "UPDATE endpoints SET last_event = max(last_event, ?2) WHERE name = ?1",
            )?
            .execute(params![endpoint, last])?;
        Ok(())
    }

    /// Removes the delivery of an earlier event of the same tag that is not due yet; returns when it was due, and the digest
    /// before it.
    fn replace_waiting(
        &self,
        endpoint: &str,
        event: &Event,
        now: Millis,
    ) -> Result<Option<(Millis, Option<String>)>, Error> {
        let found: Option<(i64, Millis, Option<String>)> = self
            .connection
            .prepare_cached(
                "SELECT deliveries.id, due_at, coalesce(deliveries.former, events.former)
                 FROM deliveries JOIN events ON events.id = event_id
                 WHERE endpoint = ?1 AND state = 0 AND deliveries.repository = ?2 AND attempts = 0 AND due_at > ?5
                 AND tag = ?3 AND kind = ?4 LIMIT 1",
            )?
            .query_row(
                params![endpoint, event.repository, event.tag, event.kind.as_str(), now],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        let Some((id, due_at, former)) = found else {
            return Ok(None);
        };
        self.connection
            .prepare_cached("DELETE FROM deliveries WHERE id = ?1")?
            .execute([id])?;
        Ok(Some((due_at, former)))
    }

    /// Records attempts to deliver to an endpoint.
    pub fn record_attempts(&self, endpoint: &str, attempts: &[Attempt]) -> Result<(), Error> {
        for attempt in attempts {
            let (state, due_at) = match attempt.outcome {
                AttemptOutcome::Delivered => (1, None),
                AttemptOutcome::Failed(due_at) => (0, Some(due_at)),
                AttemptOutcome::Dead => (2, None),
            };
            self.connection
                .prepare_cached(
                    "UPDATE deliveries SET state = ?3, due_at = coalesce(?4, due_at), attempts = attempts + 1, tried_at = ?5,
                         status = ?6, duration = ?7, answer = ?8
                     WHERE endpoint = ?1 AND event_id = ?2",
                )?
                .execute(params![
                    endpoint,
                    attempt.event,
                    state,
                    due_at,
                    attempt.at,
                    attempt.status,
                    attempt.duration,
                    attempt.answer
                ])?;
        }
        let last = attempts.iter().rev();
        let last_success = last
            .clone()
            .find(|attempt| attempt.outcome == AttemptOutcome::Delivered);
        let failures = last
            .take_while(|attempt| attempt.outcome != AttemptOutcome::Delivered)
            .count();
        self.connection
            .prepare_cached(
                "UPDATE endpoints SET failures = ?2 + CASE WHEN ?3 IS NULL THEN failures ELSE 0 END,
                     succeeded_at = coalesce(?3, succeeded_at) WHERE name = ?1",
            )?
            .execute(params![endpoint, failures, last_success.map(|attempt| attempt.at)])?;
        Ok(())
    }

    /// Has an event delivered again, or a dead letter tried again; false if it is not known.
    pub fn resend(&self, endpoint: &str, event: i64, now: Millis) -> Result<bool, Error> {
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE deliveries SET state = 0, since = ?3, due_at = ?3, attempts = 0
                 WHERE endpoint = ?1 AND event_id = ?2 AND EXISTS (SELECT 1 FROM events WHERE id = ?2)",
            )?
            .execute(params![endpoint, event, now])?;
        Ok(changed > 0)
    }
}
