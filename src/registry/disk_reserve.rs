//! The disk reserve: free disk that pushes must leave (`storage.reserve`).

use std::time::Duration;

use crate::blob::{BlobStore, Shortage};
use crate::log_limit::LogLimiter;
use crate::registry::error::Error;

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
