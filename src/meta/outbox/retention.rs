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

/// Time after which it is noted again that an endpoint is there, in milliseconds.
const SEEN: Millis = 3_600_000;

impl WriteTx<'_> {
    /// Notes that endpoints are still there, so that [`Self::prune_outbox`] keeps them.
    pub fn keep_endpoints(&self, names: &[String], now: Millis) -> Result<(), Error> {
        let mut keep = self
            .connection
            .prepare_cached("UPDATE endpoints SET seen_at = ?2 WHERE name = ?1 AND seen_at < ?3")?;
        for name in names {
            keep.execute(params![name, now, now - SEEN])?;
        }
        Ok(())
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::sqlite::connection::open_writer;
    use crate::meta::sqlite::writer::Contention;

    const DAY: Millis = 24 * 3_600_000;

    /// A server that runs for longer than events are kept goes on telling its endpoints.
    #[test]
    fn endpoints_of_a_running_server_stay() {
        let directory = tempfile::tempdir().unwrap();
        let connection = open_writer(&directory.path().join("registry.db")).unwrap();
        let listened = Default::default();
        let tx = WriteTx::new(&connection, Contention::Idle, &listened);
        let rows = "INSERT INTO endpoints (name, last_event, seen_at) VALUES ('here', 7, 0), ('gone', 7, 0);
                    INSERT INTO events (uuid, at, kind) VALUES ('a', 0, 'damage');";
        connection.execute_batch(rows).unwrap();
        let now = 40 * DAY;
        tx.keep_endpoints(&["here".to_owned()], now).unwrap();
        let bounds = OutboxBounds {
            events: 10,
            delivered: 10,
            cutoff: now - 30 * DAY,
            at_once: 10,
        };
        assert_eq!(tx.prune_outbox(&bounds).unwrap(), 0);
        let kept: String = connection
            .query_row("SELECT group_concat(name) FROM endpoints", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(kept, "here");
    }
}
