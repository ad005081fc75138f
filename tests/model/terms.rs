//! The rules that a server of the experiment keeps, and what follows from them for what a client may rely on.

use std::time::{Duration, Instant};

/// Clocks tick in milliseconds on the other side: a promise counts as over this much too early.
const TICK: Duration = Duration::from_millis(5);

/// How long things are kept in one campaign.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub lease: Duration,
    pub grace: Duration,
    pub untagged: Duration,
    pub history: Duration,
    pub interval: Duration,
}

impl Terms {
    pub const fn new(lease: u64, grace: u64, untagged: u64) -> Self {
        Self {
            lease: Duration::from_millis(lease),
            grace: Duration::from_millis(grace),
            untagged: Duration::from_millis(untagged),
            history: Duration::from_millis(3000),
            interval: Duration::from_millis(10),
        }
    }

    /// The server's settings.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |time: Duration| format!("{}ms", time.as_millis());
        [
            ("REGISTRY_GC_LEASE", text(self.lease)),
            ("REGISTRY_GC_GRACE", text(self.grace)),
            ("REGISTRY_GC_UNTAGGED", text(self.untagged)),
            ("REGISTRY_GC_HISTORY", text(self.history)),
            ("REGISTRY_GC_INTERVAL", text(self.interval)),
            ("REGISTRY_LOG_LEVEL", "error".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// How long anything stays after it was last needed.
    pub fn hold(&self) -> Duration {
        self.lease.max(self.grace)
    }

    /// How long a manifest stays after its last tag, if nothing else ever held it.
    pub fn untagged(&self) -> Duration {
        self.untagged.max(self.hold())
    }

    /// How long a client may rely on a HEAD.
    pub fn promise(&self) -> Duration {
        self.lease / 2
    }

    /// When at the latest all is gone that nobody needs, if each level of what hangs on each other takes its time.
    pub fn all_over(&self) -> Duration {
        2 * self.untagged() + 6 * self.hold() + self.history + Duration::from_secs(30)
    }
}

/// Whether what is safe until `until` was surely there all the time until `now`, when an answer had arrived.
pub fn is_sure(until: Instant, now: Instant) -> bool {
    until > now + TICK
}
