//! The last attempt to tell an endpoint of an event.

use rusqlite::params;

use crate::events::Event;
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::outbox::events::{COLUMNS, event};
use crate::meta::sqlite::reader::PointReader;
use crate::meta::sqlite::writer::WriteTx;

/// Outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    Delivered,
    /// It is tried again at this time.
    Failed(Millis),
    /// As `Failed`, of an event that somebody asked for; with the time that its endpoint was given between attempts.
    FailedAgain(Millis, Millis),
    /// It is not tried again.
    Dead,
}

/// An attempt to tell an endpoint of an event.
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

/// An event that somebody asked to have sent again.
#[derive(Clone, Debug)]
pub struct AskedFor {
    pub event: Event,
    pub due_at: Millis,
    pub attempts: u32,
    /// Time that the endpoint was given between attempts, in milliseconds.
    pub waited: Millis,
}

impl PointReader<'_> {
    /// Lists events that an endpoint is to be told of again, the first due first, at most `limit`.
    pub fn asked_for(&self, endpoint: &str, limit: usize) -> Result<Vec<AskedFor>, Error> {
        let sql = format!(
            "SELECT {COLUMNS}, due_at, attempts, waited FROM attempts JOIN events ON events.id = event_id
             WHERE endpoint = ?1 AND state = 3 ORDER BY due_at LIMIT ?2"
        );
        self.query(|connection| {
            connection
                .prepare_cached(&sql)?
                .query_map(params![endpoint, limit], |row| {
                    Ok(AskedFor {
                        event: event(row)?,
                        due_at: row.get(16)?,
                        attempts: row.get(17)?,
                        waited: row.get(18)?,
                    })
                })?
                .collect()
        })
    }
}

impl WriteTx<'_> {
    /// Records attempts to tell an endpoint.
    pub(super) fn record_attempts(
        &self,
        endpoint: &str,
        attempts: &[Attempt],
    ) -> Result<(), Error> {
        let mut record = self.connection.prepare_cached(
            "INSERT INTO attempts (endpoint, event_id, state, attempts, due_at, waited, tried_at, status, duration, answer)
             VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT DO UPDATE SET state = excluded.state, attempts = attempts + 1, due_at = excluded.due_at,
                 waited = excluded.waited, tried_at = excluded.tried_at, status = excluded.status,
                 duration = excluded.duration, answer = excluded.answer",
        )?;
        for attempt in attempts {
            let (state, due_at, waited) = match attempt.outcome {
                AttemptOutcome::Failed(due_at) => (0, due_at, 0),
                AttemptOutcome::Delivered => (1, 0, 0),
                AttemptOutcome::Dead => (2, 0, 0),
                AttemptOutcome::FailedAgain(due_at, waited) => (3, due_at, waited),
            };
            record.execute(params![
                endpoint,
                attempt.event,
                state,
                due_at,
                waited,
                attempt.at,
                attempt.status,
                attempt.duration,
                attempt.answer
            ])?;
        }
        Ok(())
    }

    /// Has an event sent again, such as one that was given up; false if there was no attempt, or the event is gone.
    ///
    /// One that waits for its next attempt keeps its place, and is due.
    pub fn resend(&self, endpoint: &str, event: i64, now: Millis) -> Result<bool, Error> {
        let waiting = self
            .connection
            .prepare_cached(
                "UPDATE queues SET due_at = ?3 WHERE endpoint = ?1 AND next_event = ?2",
            )?
            .execute(params![endpoint, event, now])?;
        if waiting > 0 {
            return Ok(true);
        }
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE attempts SET state = 3, due_at = ?3, attempts = 0, waited = 0
                 WHERE endpoint = ?1 AND event_id = ?2 AND EXISTS (SELECT 1 FROM events WHERE id = ?2)
                 AND EXISTS (SELECT 1 FROM endpoints WHERE name = ?1)",
            )?
            .execute(params![endpoint, event, now])?;
        Ok(changed > 0)
    }

    /// Removes attempts to tell an endpoint, at most `limit`; returns false once none are left.
    pub fn forget_attempts(&self, endpoint: &str, limit: usize) -> Result<bool, Error> {
        let removed = self
            .connection
            .prepare_cached(
                "DELETE FROM attempts WHERE endpoint = ?1
                 AND event_id IN (SELECT event_id FROM attempts WHERE endpoint = ?1 LIMIT ?2)",
            )?
            .execute(params![endpoint, limit])?;
        Ok(removed > 0)
    }
}
