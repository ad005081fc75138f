//! The rules that a server of the experiment keeps, and what follows from them for what a client may rely on.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Clocks tick in milliseconds on the other side: a promise counts as over this much too early.
const TICK: Duration = Duration::from_millis(5);

/// Retention times of one campaign.
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
            ("REGISTRY_GC_KEEPUNTAGGED", text(self.untagged)),
            ("REGISTRY_GC_HISTORY", text(self.history)),
            ("REGISTRY_GC_INTERVAL", text(self.interval)),
            ("REGISTRY_LOG_LEVEL", "error".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Time that content stays after its last use.
    pub fn hold(&self) -> Duration {
        self.lease.max(self.grace)
    }

    /// Time that a manifest stays after its last tag, if nothing else ever held it.
    pub fn untagged(&self) -> Duration {
        self.untagged.max(self.hold())
    }

    /// Time for which a client may rely on a HEAD.
    pub fn promise(&self) -> Duration {
        self.lease / 2
    }

    /// Latest time at which all unneeded content is gone, if each level of references takes its
    /// time.
    pub fn all_over(&self) -> Duration {
        2 * self.untagged() + 6 * self.hold() + self.history + Duration::from_secs(30)
    }
}

/// By how much promises of the last moments may have been too long.
///
/// A change is stamped when it runs and seen when it is committed; who asks in between is told of the state before. What is
/// promised then ends sooner by as much as the commit took longer than what is left of the time things are held
/// (docs/decisions/collection.md, "A promise assumes"). No commit takes longer than the requests that waited for it.
pub struct Slack {
    /// The longest commit that costs nothing.
    margin: Duration,
    /// For so long a promise that was too long can be relied on, with what hangs on it.
    window: Duration,
    /// End times of slow requests, with the allowance for each.
    slow: Mutex<Vec<(Instant, Duration)>>,
}

impl Slack {
    pub fn new(terms: &Terms) -> Self {
        let window = 3 * (terms.hold() + terms.lease);
        Self {
            margin: terms.hold() - terms.promise(),
            window,
            slow: Mutex::default(),
        }
    }

    /// Takes note of how long a request took.
    pub fn took(&self, sent: Instant, now: Instant) {
        if let Some(excess) = (now - sent).checked_sub(self.margin) {
            self.slow
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((now, excess));
        }
    }

    /// Number of slow requests.
    pub fn count(&self) -> usize {
        self.slow
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn at(&self, now: Instant) -> Duration {
        let slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = slow.iter().filter(|(ended, _)| *ended + self.window > now);
        recent.map(|(_, excess)| *excess).max().unwrap_or_default()
    }

    /// True if content that is safe until `until` was certainly present until `now`, when a
    /// response arrived.
    pub fn is_sure(&self, until: Instant, now: Instant) -> bool {
        until > now + TICK + self.at(now)
    }
}
