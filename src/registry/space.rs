//! What may still be written: what is free of the disk, but for what its owner keeps free (`storage.reserve`).

use std::time::Duration;

use super::{Error, Registry};
use crate::log_limit::LogLimiter;

/// How often the log says that there is no room.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What has been said of late of a lack of room.
pub(super) struct Shortage(LogLimiter<()>);

impl Default for Shortage {
    fn default() -> Self {
        Self(LogLimiter::new("shortages of disk", SAID_EVERY, 1))
    }
}

impl Registry {
    /// Fails where accepting `incoming` more bytes would eat into the reserve of free disk, and has the log say so, once a minute
    /// at the most.
    pub(super) fn check_space(&self, incoming: u64) -> Result<(), Error> {
        let free = self
            .blobs
            .free_bytes()
            .map_err(Error::files("asking for free disk"))?;
        let reserve = self.settings.load().reserve;
        if free >= reserve.saturating_add(incoming) {
            return Ok(());
        }
        if self.shortage.0.may_say(()) {
            tracing::warn!(
                free,
                reserve,
                "too little disk is free for pushes, which are refused with 507: storage.reserve keeps {reserve} bytes, and {free} are free, so make room, or set storage.reserve lower"
            );
        }
        Err(Error::Reserve)
    }
}
