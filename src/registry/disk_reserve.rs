//! The disk reserve: free disk that pushes must leave (`storage.reserve`).

use std::time::Duration;

use crate::blob::BlobStore;
use crate::log_limit::LogLimiter;
use crate::registry::error::Error;

/// Interval at which a shortage is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Guards the free disk that pushes must leave.
pub(super) struct DiskReserve(LogLimiter<()>);

impl Default for DiskReserve {
    fn default() -> Self {
        Self(LogLimiter::new("shortages of disk", LOG_INTERVAL, 1))
    }
}

impl DiskReserve {
    /// Rejects `incoming` more bytes if they would leave less than `reserve` bytes free.
    ///
    /// Logs the shortage once a minute at most.
    pub(super) fn check(
        &self,
        blobs: &BlobStore,
        reserve: u64,
        incoming: u64,
    ) -> Result<(), Error> {
        let free = blobs
            .free_bytes()
            .map_err(Error::files("reading the free disk space"))?;
        if free >= reserve.saturating_add(incoming) {
            return Ok(());
        }
        if self.0.may_log(()) {
            tracing::warn!(
                free,
                reserve,
                "free disk is below storage.reserve ({free} of {reserve} bytes), so pushes are rejected with 507: free some space, or lower storage.reserve"
            );
        }
        Err(Error::Reserve)
    }
}
