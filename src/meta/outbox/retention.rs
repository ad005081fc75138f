//! Bounds of the outbox, in rows and age.
//!
//! A reader finds what is beyond them, so that the writer removes a few rows by their numbers and looks at nothing else. The newest
//! event always stays: the next one has a higher number than any before.

use rusqlite::params;

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::outbox::reports::named;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::writer::WriteTx;

/// Pulls, by the condition that `events_of_pulls` has.
const PULLS: &str = "events INDEXED BY events_of_pulls
    WHERE kind IN ('manifest-pull', 'manifest-check', 'blob-pull', 'blob-check')";
/// All events.
const EVENTS: &str = "events WHERE true";

/// Bounds of the outbox.
#[derive(Clone, Copy, Debug)]
pub struct OutboxBounds {
    /// Maximum number of pulls.
    pub pulls: u64,
    /// Maximum number of other events.
    pub others: u64,
    /// Number of events that are kept after everybody was told of them.
    pub told: i64,
    /// Number of the event before which all of them are removed already.
    pub told_from: i64,
    /// Time before which nothing is kept.
    pub cutoff: Millis,
    /// Maximum number of events in one step.
    pub at_once: usize,
}

/// Events to be removed in one change, up to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneStep {
    /// Everybody was told of them. Those that were given up stay, so that they can be sent again.
    Told { from: i64, to: i64 },
    /// Pulls, for there are too many.
    Pulls { to: i64 },
    /// All, for there are too many, or they are too old.
    All { to: i64 },
}

impl Reader<'_> {
    /// Returns the next step of holding the outbox within its bounds; `None` once it is.
    pub fn prune_step(&self, bounds: &OutboxBounds) -> Result<Option<PruneStep>, Error> {
        let Some((first, first_at, last)) = self.ends_of_events()? else {
            return Ok(None);
        };
        let at_once = i64::try_from(bounds.at_once).unwrap_or(i64::MAX);
        let told = (last - bounds.told).min(self.told_by_all()?);
        if let Some(from) = self.first_told(first.max(bounds.told_from), told)? {
            let to = told.min(from.saturating_add(at_once));
            return Ok(Some(PruneStep::Told { from, to }));
        }
        if first_at < bounds.cutoff {
            let to = self.last_of_oldest(EVENTS, bounds.at_once, bounds.cutoff)?;
            return Ok(to.map(|to| PruneStep::All { to }));
        }
        // without gaps there would be as many
        let span = u64::try_from(last - first)
            .unwrap_or_default()
            .saturating_add(1);
        let pulls = match span > bounds.pulls {
            true => self.count_events(PULLS)?,
            false => 0,
        };
        if pulls > bounds.pulls {
            let excess = usize::try_from(pulls - bounds.pulls).unwrap_or(usize::MAX);
            let to = self.last_of_oldest(PULLS, bounds.at_once.min(excess), Millis::MAX)?;
            return Ok(to.map(|to| PruneStep::Pulls { to }));
        }
        let others = match span > bounds.others {
            true => self.count_events(EVENTS)?.saturating_sub(pulls),
            false => 0,
        };
        if others > bounds.others {
            let excess = usize::try_from(others - bounds.others).unwrap_or(usize::MAX);
            let to = self.last_of_oldest(EVENTS, bounds.at_once.min(excess), Millis::MAX)?;
            return Ok(to.map(|to| PruneStep::All { to }));
        }
        Ok(None)
    }

    /// Returns number and time of the oldest event, and the number of the newest.
    fn ends_of_events(&self) -> Result<Option<(i64, Millis, i64)>, Error> {
        self.query(|connection| {
            let sql = "SELECT id, at, (SELECT max(id) FROM events) FROM events ORDER BY id LIMIT 1";
            connection
                .prepare_cached(sql)?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .next()
                .transpose()
        })
    }

    /// Returns the number of the oldest event within these that was not given up and that nobody asked for.
    fn first_told(&self, from: i64, to: i64) -> Result<Option<i64>, Error> {
        self.query(|connection| {
            let sql = format!("SELECT id FROM events WHERE id BETWEEN ?1 AND ?2 AND NOT {KEPT} ORDER BY id LIMIT 1");
            connection
                .prepare_cached(&sql)?
                .query_map([from, to], |row| row.get(0))?
                .next()
                .transpose()
        })
    }

    /// Returns the number up to which all endpoints were told of everything; the greatest number without endpoints.
    fn told_by_all(&self) -> Result<i64, Error> {
        self.query(|connection| {
            let sql = "SELECT coalesce(min(least), 9223372036854775807) FROM (SELECT min(last_event) AS least FROM endpoints
                UNION ALL SELECT min(next_event) - 1 FROM queues)";
            connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))
        })
    }

    fn count_events(&self, events: &str) -> Result<u64, Error> {
        let sql = format!("SELECT count(*) FROM {events}");
        self.query(|connection| {
            connection
                .prepare_cached(&sql)?
                .query_row([], |row| row.get(0))
        })
    }

    /// Returns the number of the last one of the oldest `number` of these events, as far as they are older than `cutoff`, without
    /// the newest of all.
    fn last_of_oldest(
        &self,
        events: &str,
        number: usize,
        cutoff: Millis,
    ) -> Result<Option<i64>, Error> {
        let sql = format!(
            "SELECT max(id) FROM (SELECT id, at FROM {events} ORDER BY id LIMIT ?1)
             WHERE at < ?2 AND id < (SELECT max(id) FROM events)"
        );
        self.query(|connection| {
            connection
                .prepare_cached(&sql)?
                .query_row(params![number, cutoff], |row| row.get(0))
        })
    }
}

/// Condition of events that were given up, or that somebody asked for.
const KEPT: &str = "EXISTS (SELECT 1 FROM endpoints JOIN attempts ON endpoint = name AND event_id = events.id AND state >= 2)";

impl WriteTx<'_> {
    /// Removes events; returns the number that endpoints were not told of, each counted for each of them.
    pub fn prune(&self, step: PruneStep) -> Result<u64, Error> {
        let (events, from, to) = match step {
            PruneStep::Told { from, to } => (format!("{EVENTS} AND NOT {KEPT}"), from, to),
            PruneStep::Pulls { to } => (PULLS.to_owned(), 0, to),
            PruneStep::All { to } => (EVENTS.to_owned(), 0, to),
        };
        let events = format!("{events} AND id BETWEEN ?1 AND ?2");
        let lost = match step {
            PruneStep::Told { .. } => 0,
            PruneStep::Pulls { .. } | PruneStep::All { .. } => self.count_untold(&events, to)?,
        };
        let attempts = format!(
            "DELETE FROM attempts WHERE endpoint = ?3 AND event_id IN (SELECT id FROM {events})"
        );
        for endpoint in self.listening_endpoints()? {
            self.connection
                .prepare_cached(&attempts)?
                .execute(params![from, to, endpoint.name])?;
        }
        self.connection
            .prepare_cached(&format!("DELETE FROM {events}"))?
            .execute([from, to])?;
        Ok(lost)
    }

    /// Counts the events, of those up to a number, that endpoints were not told of.
    fn count_untold(&self, events: &str, to: i64) -> Result<u64, Error> {
        let mut untold: u64 = 0;
        for endpoint in self.listening_endpoints()? {
            let sql = format!(
                "SELECT count(*) FROM {events} AND kind IN ({})
                 AND (id > (SELECT last_event FROM endpoints WHERE name = ?3)
                      OR EXISTS (SELECT 1 FROM queues WHERE endpoint = ?3
                          AND queues.repository = coalesce(events.repository, '') AND next_event <= events.id))",
                named(endpoint.kinds)
            );
            untold += self.query(|connection| {
                connection
                    .prepare_cached(&sql)?
                    .query_row(params![0, to, endpoint.name], |row| row.get::<_, u64>(0))
            })?;
        }
        Ok(untold)
    }
}
