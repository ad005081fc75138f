//! What clients give reason to say, said so seldom that they cannot fill a disk with it.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets each thing be said once in a period, and of so many things only, which bounds its memory as well.
pub(crate) struct LogLimiter<K> {
    /// What is said, for the line that says that there is no more of it.
    what: &'static str,
    period: Duration,
    most: usize,
    said: Mutex<Said<K>>,
}

struct Said<K> {
    since: Instant,
    things: HashSet<K>,
}

impl<K: Eq + Hash> LogLimiter<K> {
    pub(crate) fn new(what: &'static str, period: Duration, most: usize) -> Self {
        Self {
            what,
            period,
            most,
            said: Mutex::new(Said {
                since: Instant::now(),
                things: HashSet::new(),
            }),
        }
    }

    /// Whether this may be said now. Once it may not because there is too much of it, the log says that instead.
    pub(crate) fn may_say(&self, thing: K) -> bool {
        self.may_say_at(thing, Instant::now())
    }

    fn may_say_at(&self, thing: K, now: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(said.since) >= self.period {
            *said = Said {
                since: now,
                things: HashSet::new(),
            };
        }
        // one more than may be said: with that, the end is told
        if said.things.len() > self.most || !said.things.insert(thing) {
            return false;
        }
        let is_last = said.things.len() > self.most;
        drop(said);
        if is_last {
            let period = humantime::format_duration(self.period);
            tracing::warn!(
                "{} of {} in {period} have been said, and more are not",
                self.most,
                self.what
            );
        }
        !is_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_said_once_in_a_period_and_only_so_many_are() {
        let hour = Duration::from_secs(3600);
        let limiter = LogLimiter::new("things", hour, 3);
        let now = Instant::now();
        let say = |thing: u32, later: Duration| limiter.may_say_at(thing, now + later);
        assert!(say(1, Duration::ZERO) && !say(1, hour / 2) && say(2, hour / 2));
        assert!((3..1000).filter(|thing| say(*thing, hour / 2)).eq([3]));
        assert!(say(1, hour * 2) && !say(1, hour * 2) && say(4, hour * 2));
    }

    #[test]
    fn memory_has_an_end() {
        let limiter = LogLimiter::new("things", Duration::from_secs(3600), 3);
        assert_eq!((0..1000).filter(|thing| limiter.may_say(*thing)).count(), 3);
        assert_eq!(limiter.said.lock().unwrap().things.len(), 4);
    }
}
