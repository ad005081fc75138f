//! Whether the data directory can be used, for those who watch over the server.

use std::sync::Arc;

use crate::meta::now;
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::slices::Status;

impl Status<'_> {
    /// Reads a fact and looks at the files' directory.
    ///
    /// # Errors
    /// What keeps one of them from being read.
    pub async fn check_readable(self) -> Result<(), Error> {
        self.registry.scan(|reader| reader.retention()).await?;
        let blobs = Arc::clone(&self.registry.blobs);
        blocking(move || {
            blobs
                .free_bytes()
                .map(drop)
                .map_err(Error::files("looking at the data directory"))
        })
        .await?
    }

    /// Changes the database, in a way that means nothing and waits for no disk.
    ///
    /// # Errors
    /// What keeps it from being changed. Waits as long as the writer does.
    pub async fn check_database_writable(self) -> Result<(), Error> {
        self.registry
            .meta
            .write_lazily(move |tx| Ok::<_, Error>(tx.note_probe(now())?))
            .await
    }

    /// Fails where no more is accepted because the disk is as full as its owner allows; the log says so, once a minute at the most.
    ///
    /// # Errors
    /// [`Error::Reserve`], and what the file system says.
    pub fn check_disk_reserve(self) -> Result<(), Error> {
        self.registry.check_disk_space(0)
    }
}
