//! How logins went.

use crate::telemetry::Counter;

/// Counted since the process began; of registries that ask for a login only.
#[derive(Debug, Default)]
pub struct Stats {
    /// Requests that were let in.
    pub accepted: Counter,
    /// Of those, by a password that was verified a while ago.
    pub remembered: Counter,
    /// Requests without credentials, which most clients send first.
    pub challenged: Counter,
    /// Requests with credentials that would not do.
    pub refused: Counter,
    /// Requests that were put off, because too many failed or wait.
    pub throttled: Counter,
}
