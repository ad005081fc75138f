//! Files of collected blobs, until their removal is durable.

use rusqlite::params;

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::{Cursor, RemovalId};
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::Digest;

/// A file whose blob was collected.
#[derive(Clone, Debug)]
pub struct Removal {
    pub id: RemovalId,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

impl Reader<'_> {
    /// Lists files to be removed, in the order in which their blobs were collected.
    pub fn removals(&self, after: Cursor, limit: usize) -> Result<Vec<(Cursor, Removal)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, digest, size FROM removals WHERE id > ?1 ORDER BY id LIMIT ?2",
                )?
                .query_map(params![after.number, limit], |row| {
                    let removal = Removal {
                        id: RemovalId(row.get(0)?),
                        digest: digest(row, 1)?,
                        size: row.get(2)?,
                    };
                    Ok((Cursor::after(Millis::MIN, removal.id.0), removal))
                })?
                .collect()
        })
    }

    /// Reports whether the file of a collected blob is queued for removal.
    pub fn is_removal(&self, digest: &Digest) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM removals WHERE digest = ?1")?
                .exists([digest.as_str()])
        })
    }
}

impl WriteTx<'_> {
    /// Queues a file for removal that is about to get a blob's name, in case its row never comes.
    pub fn note_removal(&self, digest: &Digest, size: u64) -> Result<RemovalId, Error> {
        self.connection
            .prepare_cached("INSERT INTO removals (digest, size) VALUES (?1, ?2)")?
            .execute(params![digest.as_str(), size])?;
        Ok(RemovalId(self.connection.last_insert_rowid()))
    }

    /// Removes the records of removals that are durable.
    pub fn forget_removals(&self, ids: &[RemovalId]) -> Result<(), Error> {
        let mut statement = self
            .connection
            .prepare_cached("DELETE FROM removals WHERE id = ?1")?;
        ids.iter()
            .try_for_each(|id| statement.execute([id.0]).map(|_| ()).map_err(Error::from))
    }
}
