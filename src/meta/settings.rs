//! What a server tells other processes on its directory, and its own next start, of its configuration.

use rusqlite::{OptionalExtension, params};

use super::{Error, Millis, PointReader, WriteTx};

const RETENTION: &str = "retention";

impl PointReader<'_> {
    /// How long things are kept, as the last server here was told, in whatever text it chose; none before the first.
    pub fn retention(&self) -> Result<Option<String>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
                .query_row([RETENTION], |row| row.get(0))
                .optional()
        })
    }
}

impl WriteTx<'_> {
    /// Writes down when somebody last asked whether anything can be written down.
    pub fn note_probe(&self, now: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached("INSERT INTO settings (name, value) VALUES ('probe', ?1) ON CONFLICT DO UPDATE SET value = excluded.value")?
            .execute([now.to_string()])?;
        Ok(())
    }

    /// Records how long things are kept. Where that changes, everything that a rule has put off is looked at anew.
    pub fn set_retention(&self, text: &str) -> Result<(), Error> {
        let changed = self
            .connection
            .prepare_cached(
                "INSERT INTO settings (name, value) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
            )?
            .execute(params![RETENTION, text])?;
        if changed > 0 {
            self.connection.execute(
                "UPDATE manifests SET review_from = idle_since WHERE review_from > idle_since",
                [],
            )?;
            self.connection.execute(
                "UPDATE repositories SET review_at = 0 WHERE review_at IS NOT 0",
                [],
            )?;
        }
        Ok(())
    }
}
