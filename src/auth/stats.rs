//! Counters of logins.

use crate::telemetry::Counter;

/// Logins since the process started; requests that need no login are not counted.
#[derive(Debug, Default)]
pub struct Stats {
    /// Requests that were authenticated and authorized.
    pub accepted: Counter,
    /// Accepted requests whose password was found in the cache.
    pub remembered: Counter,
    /// Requests without credentials, which most clients send first.
    pub challenged: Counter,
    /// Requests whose credentials were not accepted, or do not allow what was asked for.
    pub refused: Counter,
    /// Requests rejected unchecked, because of failed logins or of a full queue.
    pub throttled: Counter,
}
