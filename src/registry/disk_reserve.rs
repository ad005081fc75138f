//! The disk reserve: free disk that pushes must leave (`storage.reserve`), and the use of the space that is set aside.

use std::sync::Arc;
use std::time::Duration;

use crate::blob::{BlobStore, Shortage};
use crate::log_limit::LogLimiter;
use crate::meta::{Actor, WriteTx};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::service::Registry;

/// Interval at which a shortage is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Guards the free disk that pushes must leave.
pub(super) struct DiskReserve(LogLimiter<Shortage>);

impl Default for DiskReserve {
    fn default() -> Self {
        Self(LogLimiter::new(
            "shortages of disk",
            LOG_INTERVAL,
            Shortage::ALL.len(),
        ))
    }
}

impl DiskReserve {
    /// Rejects `incoming` more bytes if they would leave less than `reserve` bytes free, or if no file can be created.
    ///
    /// Logs the shortage once a minute at most.
    pub(super) fn check(
        &self,
        blobs: &BlobStore,
        reserve: u64,
        incoming: u64,
    ) -> Result<(), Error> {
        let free = blobs
            .free_space()
            .map_err(Error::files("reading the free disk space"))?;
        if free.inodes == Some(0) {
            return self.report(Shortage::Inodes);
        }
        let free = free.bytes;
        if free >= reserve.saturating_add(incoming) {
            return Ok(());
        }
        if self.0.may_log(Shortage::Blocks) {
            tracing::warn!(
                free,
                reserve,
                "free disk is below storage.reserve ({free} of {reserve} bytes), so pushes are rejected with 507: free some space, or lower storage.reserve"
            );
        }
        Err(Error::Reserve)
    }

    /// Fails if nothing can be written; names the resource that has run out.
    pub(super) fn check_writable(&self, blobs: &BlobStore) -> Result<(), Error> {
        let shortage = blobs
            .find_shortage()
            .map_err(Error::files("reading the free disk space"))?;
        shortage.map_or(Ok(()), |shortage| self.report(shortage))
    }

    /// Logs a shortage once a minute at most, and returns it as an error.
    pub(super) fn report(&self, shortage: Shortage) -> Result<(), Error> {
        if self.0.may_log(shortage) {
            let remedy = match shortage {
                Shortage::Blocks => "free some space",
                Shortage::Inodes => "remove files, or move to a file system with more inodes",
                Shortage::Quota => "raise the quota, or free some space",
            };
            tracing::warn!(
                resource = shortage.name(),
                "the {shortage} for the data directory, so pushes are rejected with 507: {remedy}"
            );
        }
        Err(Error::StorageFull(shortage))
    }
}

impl Registry {
    /// Fails if `incoming` more bytes would use up the disk reserve.
    pub(super) fn check_disk_space(&self, incoming: u64) -> Result<(), Error> {
        if !self.emergency_space.hold() {
            return self.disk_reserve.report(Shortage::Quota);
        }
        let reserve = self.settings.load().reserve;
        self.disk_reserve.check(&self.blobs, reserve, incoming)
    }

    /// Makes a change that will free disk space, as [`Registry::write`]; if there is none, with that which is set aside.
    pub(super) async fn write_freeing<T, F>(&self, actor: Actor, change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTx<'_>, &Actor) -> Result<T, Error> + Clone + Send + 'static,
    {
        match self.write(actor.clone(), change.clone()).await {
            Err(Error::StorageFull(_)) if self.give_up_space().await? => {
                self.write(actor, change).await
            }
            outcome => outcome,
        }
    }

    /// Frees the disk space that is set aside, for changes that will free more, if a quota is used up.
    pub(super) async fn free_for_removal(&self) -> Result<(), Error> {
        let blobs = Arc::clone(&self.blobs);
        if let Ok(Some(Shortage::Quota)) = blocking(move || blobs.find_shortage()).await? {
            self.give_up_space().await?;
        }
        Ok(())
    }

    async fn give_up_space(&self) -> Result<bool, Error> {
        let space = Arc::clone(&self.emergency_space);
        blocking(move || space.give_up()).await
    }
}
