//! Failed logins by address, so that guessing gets slower.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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
        records.get(&network(address)).map(|record| record.since.saturating_duration_since(now)).filter(|pause| !pause.is_zero())
    }

    /// Takes down a wrong password.
    pub(super) fn failed(&self, address: Option<IpAddr>, now: Instant) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(address);
        if records.len() >= ADDRESSES && !records.contains_key(&address) {
            make_room(&mut records, now);
        }
        let failures = records.get(&address).map_or(0, |record| record.failures(now)).saturating_add(1);
        records.insert(address, Record { failures, since: now + pause_after(failures) });
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

/// What one client cannot leave at will: an IPv4 address, and of IPv6 the 64 bits that a network is given.
fn network(address: Option<IpAddr>) -> Option<IpAddr> {
    address.map(|address| match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    })
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
            attempts.failed(one, now);
            assert_eq!(attempts.pause(one, now), None);
        }
        let mut pauses = Vec::new();
        for _ in 0..12 {
            attempts.failed(one, now);
            let pause = attempts.pause(one, now).unwrap();
            pauses.push(pause.as_secs());
            assert_eq!(attempts.pause(other, now), None);
            now += pause;
            assert_eq!(attempts.pause(one, now), None);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        // all is forgiven in the end
        now += FORGOTTEN_AFTER * 22;
        attempts.failed(one, now);
        assert_eq!(attempts.pause(one, now), None);
    }

    #[test]
    fn a_network_is_one_client() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for host in 0..=FREE_FAILURES {
            attempts.failed(address(&format!("2001:db8::{host:x}")), now);
        }
        assert!(attempts.pause(address("2001:db8::ffff:1"), now).is_some());
        assert!(attempts.pause(address("2001:db8:0:1::1"), now).is_none());
        for _ in 0..=FREE_FAILURES {
            attempts.failed(address("::ffff:192.0.2.1"), now);
        }
        assert!(attempts.pause(address("192.0.2.1"), now).is_some());
    }

    #[test]
    fn memory_has_an_end_and_keeps_the_worst() {
        let attempts = Attempts::default();
        let (worst, now) = (address("192.0.2.1"), Instant::now());
        for _ in 0..=FREE_FAILURES {
            attempts.failed(worst, now);
        }
        for number in 0..2 * ADDRESSES as u32 {
            attempts.failed(Some(std::net::Ipv4Addr::from(number).into()), now);
        }
        assert!(attempts.records.lock().unwrap().len() <= ADDRESSES);
        assert!(attempts.pause(worst, now).is_some());
    }
}
