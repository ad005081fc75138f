//! What may still be written: what is free of the disk, but for what its owner keeps free (`storage.reserve`).

use std::time::Duration;

use crate::blob::BlobStore;
use crate::log_limit::LogLimiter;
use crate::registry::error::Error;

/// How often the log says that there is no room.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Guards the free disk that uploads must leave.
pub(super) struct DiskReserve(LogLimiter<()>);

impl Default for DiskReserve {
    fn default() -> Self {
        Self(LogLimiter::new("shortages of disk", SAID_EVERY, 1))
    }
}

impl DiskReserve {
    /// Fails where accepting `incoming` more bytes would leave less than `reserve` bytes free, and logs it, once a minute at
    /// the most.
    pub(super) fn check(
        &self,
        blobs: &BlobStore,
        reserve: u64,
        incoming: u64,
    ) -> Result<(), Error> {
        let free = blobs
            .free_bytes()
            .map_err(Error::files("asking for free disk"))?;
        if free >= reserve.saturating_add(incoming) {
            return Ok(());
        }
        if self.0.may_log(()) {
            tracing::warn!(
                free,
                reserve,
                "too little disk is free for pushes, which are refused with 507: storage.reserve keeps {reserve} bytes, and {free} are free, so make room, or set storage.reserve lower"
            );
        }
        Err(Error::Reserve)
    }
}
