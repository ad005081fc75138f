//! Bounds of the outbox, in rows and age.

use rusqlite::params;

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::writer::WriteTx;

/// Bounds of the outbox.
#[derive(Clone, Copy, Debug)]
pub struct OutboxBounds {
    /// Maximum number of events, whatever waits.
    pub events: u64,
    /// Number of events that are kept after their delivery.
    pub delivered: i64,
    /// Time before which nothing is kept.
    pub cutoff: Millis,
    /// Maximum number of rows removed at once.
    pub at_once: usize,
}

impl WriteTx<'_> {
    /// Removes what is beyond the bounds; returns the number of deliveries that waited and are lost.
    pub fn prune_outbox(&self, bounds: &OutboxBounds) -> Result<u64, Error> {
        let kept = "(SELECT coalesce(max(id), 0) - ?1 FROM events)";
        self.connection
            .prepare_cached(&format!(
                "DELETE FROM deliveries WHERE id IN
                     (SELECT id FROM deliveries WHERE state = 1 AND event_id <= {kept} LIMIT ?2)"
            ))?
            .execute(params![bounds.delivered, bounds.at_once])?;
        self.connection
            .prepare_cached(&format!(
                "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id <= {kept}
                     AND id <= coalesce((SELECT min(last_event) FROM endpoints WHERE seen_at >= ?3), id)
                     AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event_id = events.id) LIMIT ?2)"
            ))?
            .execute(params![bounds.delivered, bounds.at_once, bounds.cutoff])?;
        let limit: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT max(id) FROM (SELECT id FROM events WHERE at < ?1
                     OR id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?2) ORDER BY id LIMIT ?3)",
            )?
            .query_row(params![bounds.cutoff, bounds.events, bounds.at_once], |row| {
                row.get(0)
            })?;
        let Some(limit) = limit else {
            return Ok(0);
        };
        let lost = self
            .connection
            .prepare_cached("SELECT count(*) FROM deliveries WHERE state = 0 AND event_id <= ?1")?
            .query_row([limit], |row| row.get(0))?;
        self.connection
            .prepare_cached("DELETE FROM deliveries WHERE event_id <= ?1")?
            .execute([limit])?;
        self.connection
            .prepare_cached("DELETE FROM events WHERE id <= ?1")?
            .execute([limit])?;
        self.connection
            .prepare_cached("DELETE FROM endpoints WHERE seen_at < ?1")?
            .execute([bounds.cutoff])?;
        Ok(lost)
    }
}
