//! Retention times of the server under test, and the promises to clients that follow from them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The server's clock has millisecond resolution: a promise counts as ended this much earlier.
const TICK: Duration = Duration::from_millis(5);

/// Retention times of one campaign.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    pub lease: Duration,
    pub grace: Duration,
    pub untagged: Duration,
    pub history: Duration,
    pub interval: Duration,
}

impl Retention {
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

    /// Latest time at which all unneeded content is absent, if each level of references takes its
    /// time.
    pub fn all_over(&self) -> Duration {
        2 * self.untagged() + 6 * self.hold() + self.history + Duration::from_secs(30)
    }
}

/// Excess by which recent promises may have been too long.
///
/// A change is stamped when it runs and visible when it is committed; a request in between is
/// answered from the state before. Its promise then ends sooner, by the time that the commit took
/// beyond the rest of the holding time (docs/decisions/collection.md, "A promise assumes"). No
/// commit takes longer than the requests that waited for it.
pub struct Slack {
    /// The longest commit that costs nothing.
    margin: Duration,
    /// Time for which content may depend on a promise that was too long.
    window: Duration,
    /// End times of slow requests, with the allowance for each.
    slow: Mutex<Vec<(Instant, Duration)>>,
}

impl Slack {
    pub fn new(retention: &Retention) -> Self {
        let window = 3 * (retention.hold() + retention.lease);
        Self {
            margin: retention.hold() - retention.promise(),
            window,
            slow: Mutex::default(),
        }
    }

    /// Records the duration of a request.
    pub fn record(&self, sent: Instant, now: Instant) {
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
