//! The time, as the database records it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, by the system's clock.
pub type Millis = i64;

/// The current time.
pub fn now() -> Millis {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis::try_from(since_epoch.as_millis()).unwrap_or(Millis::MAX)
}

/// Converts a duration to milliseconds; saturates.
pub fn millis(time: std::time::Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}
