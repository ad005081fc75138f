//! Keys that sign tokens of the token service.

use rusqlite::params;

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::PointReader;
use crate::meta::sqlite::writer::WriteTx;

/// A key that signs and verifies.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRow {
    pub id: String,
    pub secret: Vec<u8>,
    pub created_at: Millis,
}

impl PointReader<'_> {
    /// Returns all keys, the newest first.
    pub fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, Error> {
        self.query(|connection| {
            let mut keys = connection.prepare_cached(
                "SELECT id, secret, created_at FROM signing_keys ORDER BY created_at DESC, id",
            )?;
            let key = |row: &rusqlite::Row<'_>| {
                Ok(SigningKeyRow {
                    id: row.get(0)?,
                    secret: row.get(1)?,
                    created_at: row.get(2)?,
                })
            };
            keys.query_map([], key)?.collect()
        })
    }
}

impl WriteTx<'_> {
    /// Inserts a key, and deletes those made before `cutoff` or in the future.
    pub fn replace_signing_keys(&self, key: &SigningKeyRow, cutoff: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM signing_keys WHERE created_at < ?1 OR created_at > ?2")?
            .execute([cutoff, key.created_at])?;
        self.connection
            .prepare_cached(
                "INSERT INTO signing_keys (id, secret, created_at) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![key.id, key.secret, key.created_at])?;
        Ok(())
    }
}
