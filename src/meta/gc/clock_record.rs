//! The record of the clock, and the correction of recorded times after a jump.

use rusqlite::{OptionalExtension, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::process_clock::{follow, reading};
use crate::meta::sqlite::reader::PointReader;
use crate::meta::sqlite::writer::WriteTx;
use crate::meta::timeline::{Jump, Shift, Timeline};

const CLOCK: &str = "clock";
/// Interval at which the clock is recorded while it does not jump.
const RECORD_INTERVAL: Millis = 3600 * 1000;
/// Times beyond this mean "never", and are not moved.
const NEVER: Millis = Millis::MAX / 2;

/// Times that collection waits for, or counts from. All of them move with a jump, so that what is left of a period stays.
const PERIODS: &[(&str, &str)] = &[
    ("repository_blobs", "idle_since"),
    ("repository_blobs", "released_at"),
    ("blobs", "idle_since"),
    ("blobs", "needed_at"),
    ("manifests", "idle_since"),
    ("manifests", "released_at"),
    ("manifests", "review_from"),
    ("trash", "deleted_at"),
    ("uploads", "started_at"),
    ("uploads", "expires_at"),
    ("queues", "due_at"),
    ("attempts", "due_at"),
];
/// Other times, which move only if the clock was wrong when they were recorded.
const RECORDS: &[(&str, &str)] = &[
    ("repositories", "created_at"),
    ("blobs", "created_at"),
    ("manifests", "pushed_at"),
    ("manifests", "pulled_at"),
    ("manifests", "checked_at"),
    ("tags", "updated_at"),
    ("tags", "pushed_at"),
    ("tags", "pulled_at"),
    ("tags", "checked_at"),
    ("tags", "restored_at"),
    ("tags", "gone_at"),
    ("tag_history", "since"),
    ("tag_history", "until"),
    ("tag_history", "pushed_at"),
    ("tag_history", "pulled_at"),
    ("tag_history", "checked_at"),
    ("undo_ends", "ended_at"),
    ("audit", "at"),
    ("events", "at"),
    ("attempts", "tried_at"),
    ("endpoints", "succeeded_at"),
    ("tokens", "created_at"),
    ("tokens", "revoked_at"),
    ("token_secrets", "created_at"),
    ("token_secrets", "replaced_at"),
    ("token_secrets", "used_at"),
];

/// State of the system's clock beside the registry's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockState {
    pub jump: Option<Jump>,
    /// Time by which the system's clock is behind the registry's, which goes on by itself.
    pub lag: Option<Millis>,
}

impl PointReader<'_> {
    /// Follows the recorded clock; `None` if something has to be recorded first.
    pub(in crate::meta) fn follow_clock(&self) -> Result<Option<ClockState>, Error> {
        let recorded = self.recorded_clock()?;
        let reading = reading();
        let state = recorded
            .as_ref()
            .filter(|timeline| timeline.is_current_at(&reading, RECORD_INTERVAL))
            .map(|timeline| ClockState {
                jump: None,
                lag: timeline.lag_at(&reading),
            });
        follow(recorded);
        Ok(state)
    }

    fn recorded_clock(&self) -> Result<Option<Timeline>, Error> {
        let text: Option<String> = self.query(|connection| {
            connection
                .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
                .query_row([CLOCK], |row| row.get(0))
                .optional()
        })?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

impl WriteTx<'_> {
    /// Records the clock. After a jump it corrects the recorded times too.
    pub(in crate::meta) fn record_clock(&self) -> Result<ClockState, Error> {
        let reading = reading();
        let mut timeline = match self.recorded_clock()? {
            Some(timeline) => timeline,
            None => Timeline::new(&reading),
        };
        let observed = timeline.observe(&reading);
        for shift in observed.iter().flat_map(|(_, shifts)| shifts) {
            self.shift_times(*shift)?;
        }
        self.set_clock(&timeline)?;
        let state = ClockState {
            jump: observed.map(|(jump, _)| jump),
            lag: timeline.lag_at(&reading),
        };
        // in this thread, so that no later change records a time of before
        follow(Some(timeline));
        Ok(state)
    }

    /// Confirms that the system's clock, which is behind, is right; false if it is not behind.
    pub fn confirm_clock(&self) -> Result<bool, Error> {
        let Some(mut timeline) = self.recorded_clock()? else {
            return Ok(false);
        };
        let is_behind = timeline.confirm(&reading());
        self.set_clock(&timeline)?;
        Ok(is_behind)
    }

    fn set_clock(&self, timeline: &Timeline) -> Result<(), Error> {
        let text = serde_json::to_string(timeline)
            .map_err(|error| Error::Interrupted(error.to_string()))?;
        self.connection
            .prepare_cached(
                "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
            )?
            .execute(params![CLOCK, text])?;
        Ok(())
    }

    /// Moves recorded times, so that what is left of each period is as before the jump.
    fn shift_times(&self, Shift { by, wrong_since }: Shift) -> Result<(), Error> {
        match wrong_since {
            Some(since) => {
                // ends that were set then; others are as far in the future as they say
                self.connection.execute(
                    "UPDATE token_secrets SET expires_at = expires_at + ?1
                     WHERE max(created_at, coalesce(replaced_at, 0)) >= ?2",
                    [by, since],
                )?;
                for (table, column) in RECORDS {
                    let sql =
                        format!("UPDATE {table} SET {column} = {column} + ?1 WHERE {column} >= ?2");
                    self.connection.execute(&sql, [by, since])?;
                }
                self.connection.execute(
                    "UPDATE repositories SET review_at = 0 WHERE review_at > 1",
                    [],
                )?;
            }
            // a later use counts for collection too, and does not move itself
            None => {
                self.connection.execute(
                    "UPDATE manifests SET idle_since = max(idle_since, coalesce(pulled_at, 0), coalesce(checked_at, 0))
                     WHERE idle_since IS NOT NULL",
                    [],
                )?;
            }
        }
        for (table, column) in PERIODS {
            let sql = format!(
                "UPDATE {table} SET {column} = {column} + ?1 WHERE {column} > 0 AND {column} < {NEVER}"
            );
            self.connection.execute(&sql, [by])?;
        }
        Ok(())
    }
}
