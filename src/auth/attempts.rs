//! Failed logins by address, so that guessing gets slower.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::network;

/// Failures that are free: people mistype, and scripts with an old password try it more than once.
const FREE_FAILURES: u32 = 10;
/// One failure is forgotten after each such time without another.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// The first failure that is not free closes the door for this long, and each further one for twice as long …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// Addresses that are remembered.
const ADDRESSES: usize = 10_000;

/// Who failed how often.
#[derive(Default)]
pub(super) struct Attempts {
    records: Mutex<HashMap<Option<IpAddr>, Record>>,
}

/// A login that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed<'l> {
    /// Whom it was for; empty where nobody was named.
    pub(super) user: &'l str,
    /// The client's; none where it came over a socket of the file system.
    pub(super) address: Option<IpAddr>,
    pub(super) reason: &'static str,
}

#[derive(Clone, Copy)]
struct Record {
    failures: u32,
    /// Of the last failure, or of the end of the pause after it.
    since: Instant,
}

impl Record {
    /// Failures that still count.
    fn failures(&self, now: Instant) -> u32 {
        let forgotten = now.saturating_duration_since(self.since).as_secs() / FORGOTTEN_AFTER.as_secs();
        self.failures.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }
}

impl Attempts {
    /// How long this address has to wait before another password of it is looked at.
    pub(super) fn pause(&self, address: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.get(&address.map(network::of)).map(|record| record.since.saturating_duration_since(now)).filter(|pause| !pause.is_zero())
    }

    /// Takes down a login that was looked at and failed: each is one line of the log, and one more where it closes the door.
    pub(super) fn failed(&self, failed: Failed<'_>, now: Instant) {
        failed.report();
        let pause = self.count(failed.address, now);
        if !pause.is_zero() {
            let (address, wait) = (failed.address(), humantime::format_duration(pause));
            tracing::warn!(%address, %wait, "logins put off: too many of this address have failed, and more are not looked at");
        }
    }

    /// As [`Self::failed`], for what costs nothing to look at: behind a closed door it is only told how long to wait.
    pub(super) fn turn_away(&self, failed: Failed<'_>, now: Instant) -> Option<Duration> {
        let pause = self.pause(failed.address, now);
        if pause.is_none() {
            self.failed(failed, now);
        }
        pause
    }

    /// Gives how long the door is closed now.
    fn count(&self, address: Option<IpAddr>, now: Instant) -> Duration {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let address = address.map(network::of);
        if records.len() >= ADDRESSES && !records.contains_key(&address) {
            make_room(&mut records, now);
        }
        let failures = records.get(&address).map_or(0, |record| record.failures(now)).saturating_add(1);
        let pause = pause_after(failures);
        records.insert(address, Record { failures, since: now + pause });
        pause
    }
}

impl Failed<'_> {
    /// The one line about it; what watches logs for attackers goes by its words (`docs/fail2ban`).
    fn report(&self) {
        const LONGEST_NAME: usize = 100;
        let user: String = self.user.chars().take(LONGEST_NAME).collect();
        // as a text value: control characters and quotes come out escaped
        tracing::warn!(user = user.as_str(), address = %self.address(), reason = self.reason, "login failed");
    }

    fn address(&self) -> String {
        self.address.map_or_else(|| "unix".to_owned(), |address| address.to_string())
    }
}

fn pause_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES + 1) {
        Some(doublings) => FIRST_PAUSE.saturating_mul(1 << doublings.min(20)).min(LONGEST_PAUSE),
        None => Duration::ZERO,
    }
}

/// Forgets those of whom nothing counts any more, and where all count, the quarter that counts least.
fn make_room(records: &mut HashMap<Option<IpAddr>, Record>, now: Instant) {
    records.retain(|_, record| record.failures(now) > 0);
    if records.len() >= ADDRESSES {
        let mut all: Vec<_> = records.drain().collect();
        all.sort_unstable_by_key(|(_, record)| std::cmp::Reverse((record.failures, record.since)));
        all.truncate(ADDRESSES / 4 * 3);
        records.extend(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn pauses_grow_and_end() {
        let (attempts, one, other) = (Attempts::default(), address("192.0.2.1"), address("192.0.2.2"));
        let mut now = Instant::now();
        for _ in 0..FREE_FAILURES {
            attempts.count(one, now);
            assert_eq!(attempts.pause(one, now), None);
        }
        let mut pauses = Vec::new();
        for _ in 0..12 {
            attempts.count(one, now);
            let pause = attempts.pause(one, now).unwrap();
            pauses.push(pause.as_secs());
            assert_eq!(attempts.pause(other, now), None);
            now += pause;
            assert_eq!(attempts.pause(one, now), None);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        // all is forgiven in the end
        now += FORGOTTEN_AFTER * 22;
        attempts.count(one, now);
        assert_eq!(attempts.pause(one, now), None);
    }

    #[test]
    fn a_network_is_one_client() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for host in 0..=FREE_FAILURES {
            attempts.count(address(&format!("2001:db8::{host:x}")), now);
        }
        assert!(attempts.pause(address("2001:db8::ffff:1"), now).is_some());
        assert!(attempts.pause(address("2001:db8:0:1::1"), now).is_none());
        for _ in 0..=FREE_FAILURES {
            attempts.count(address("::ffff:192.0.2.1"), now);
        }
        assert!(attempts.pause(address("192.0.2.1"), now).is_some());
    }

    #[test]
    fn memory_has_an_end_and_keeps_the_worst() {
        let attempts = Attempts::default();
        let (worst, now) = (address("192.0.2.1"), Instant::now());
        for _ in 0..=FREE_FAILURES {
            attempts.count(worst, now);
        }
        for number in 0..2 * ADDRESSES as u32 {
            attempts.count(Some(std::net::Ipv4Addr::from(number).into()), now);
        }
        assert!(attempts.records.lock().unwrap().len() <= ADDRESSES);
        assert!(attempts.pause(worst, now).is_some());
    }
}
