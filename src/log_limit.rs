//! Limits on log lines that clients can cause, so that they cannot fill a disk.

use std::collections::HashSet;
use std::hash::Hash;
use std::time::{Duration, Instant};

use jiff::fmt::friendly::SpanPrinter;
use parking_lot::Mutex;

/// Limiter that allows each thing one log line in a period.
///
/// The number of things in a period is limited too, which also bounds the memory.
pub(crate) struct LogLimiter<K> {
    /// Name of the lines, for the announcement that they are suppressed.
    what: &'static str,
    period: Duration,
    most: usize,
    logged: Mutex<Logged<K>>,
}

struct Logged<K> {
    since: Instant,
    things: HashSet<K>,
}

impl<K: Eq + Hash> LogLimiter<K> {
    pub(crate) fn new(what: &'static str, period: Duration, most: usize) -> Self {
        Self {
            what,
            period,
            most,
            logged: Mutex::new(Logged {
                since: Instant::now(),
                things: HashSet::new(),
            }),
        }
    }

    /// Reports whether `thing` may be logged now. The first one above the maximum logs that further ones are suppressed.
    pub(crate) fn may_log(&self, thing: K) -> bool {
        self.may_log_at(thing, Instant::now())
    }

    fn may_log_at(&self, thing: K, now: Instant) -> bool {
        let mut logged = self.logged.lock();
        if now.saturating_duration_since(logged.since) >= self.period {
            *logged = Logged {
                since: now,
                things: HashSet::new(),
            };
        }
        // one more than may be logged: it announces the suppression
        if logged.things.len() > self.most || !logged.things.insert(thing) {
            return false;
        }
        let is_excess = logged.things.len() > self.most;
        drop(logged);
        if is_excess {
            let period = SpanPrinter::new().unsigned_duration_to_string(&self.period);
            tracing::warn!(
                "further \"{}\" messages are suppressed ({} logged in {period})",
                self.what,
                self.most
            );
        }
        !is_excess
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_logged_once_in_a_period_up_to_a_maximum() {
        let hour = Duration::from_secs(3600);
        let limiter = LogLimiter::new("things", hour, 3);
        let now = Instant::now();
        let log = |thing: u32, later: Duration| limiter.may_log_at(thing, now + later);
        assert!(log(1, Duration::ZERO) && !log(1, hour / 2) && log(2, hour / 2));
        assert!((3..1000).filter(|thing| log(*thing, hour / 2)).eq([3]));
        assert!(log(1, hour * 2) && !log(1, hour * 2) && log(4, hour * 2));
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = LogLimiter::new("things", Duration::from_secs(3600), 3);
        assert_eq!((0..1000).filter(|thing| limiter.may_log(*thing)).count(), 3);
        assert_eq!(limiter.logged.lock().things.len(), 4);
    }
}
