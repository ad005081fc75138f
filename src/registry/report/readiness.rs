//! Health checks of the data directory.

use std::sync::Arc;

use crate::meta::now;
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Status;
use crate::registry::verify::run::is_damage;

impl Status<'_> {
    /// Reads from the database and from the file system.
    ///
    /// # Errors
    /// Read errors of either.
    pub async fn check_readable(self) -> Result<(), Error> {
        self.registry.scan(|reader| reader.retention()).await?;
        let blobs = Arc::clone(&self.registry.blobs);
        blocking(move || {
            blobs
                .free_space()
                .map(drop)
                .map_err(Error::files("reading the data directory"))
        })
        .await?
    }

    /// Reports whether the database is damaged, as far as reads and verification have found.
    ///
    /// # Errors
    /// Read errors of the database.
    pub async fn is_database_damaged(self) -> Result<bool, Error> {
        match self.registry.meta.is_damaged().await {
            Err(error) if is_damage(&error) => Ok(true),
            other => Ok(other?),
        }
    }

    /// Performs a no-op write, without fsync.
    ///
    /// # Errors
    /// Write errors of the database. Waits as long as the writer does.
    pub async fn check_database_writable(self) -> Result<(), Error> {
        self.registry
            .meta
            .write_lazily(move |tx| Ok::<_, Error>(tx.record_probe(now())?))
            .await
    }

    /// Fails for the reason for which pushes are refused, if they are; changes nothing.
    ///
    /// # Errors
    /// As for [`Self::check_disk`].
    pub fn check_pushes(self) -> Result<(), Error> {
        let registry = self.registry;
        let reserve = registry.settings().reserve;
        registry.disk_reserve.check(&registry.blobs, reserve, 0)?;
        registry.disk_reserve.check_writable(&registry.blobs)
    }

    /// Fails if the disk reserve is reached, or blocks, inodes or a quota have run out; logged once a minute at most.
    ///
    /// # Errors
    /// [`Error::Reserve`], [`Error::StorageFull`], and file system errors.
    pub fn check_disk(self) -> Result<(), Error> {
        self.registry.check_disk_space(0)?;
        self.registry
            .disk_reserve
            .check_writable(&self.registry.blobs)
    }
}
