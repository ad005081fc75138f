//! Free space in the database file.

use crate::meta::error::Error;
use crate::meta::sqlite::writer::WriteTx;

impl WriteTx<'_> {
    /// Releases about `limit` bytes of free space to the file system; returns the bytes released.
    ///
    /// [`Reader::database_size`](crate::meta::Reader::database_size) tells how much is free.
    pub fn release_free_space(&self, limit: u64) -> Result<u64, Error> {
        let page: u64 = self
            .connection
            .query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = limit.div_ceil(page);
        let mut statement = self
            .connection
            .prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = statement.query([])?;
        let mut freed = 0;
        while rows.next()?.is_some() {
            freed += page;
        }
        Ok(freed)
    }
}
