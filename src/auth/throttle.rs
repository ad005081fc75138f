//! Failed logins by address, so that guessing gets slower.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::password_cache::Fingerprint;
use crate::client_key;

/// Failures that are free: people mistype, and scripts with an old password try it more than once.
const FREE_FAILURES: u32 = 10;
/// One failure is forgotten after each such time without another.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// The first failure that is not free closes the door for this long, and each further one for twice as long …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The same wrong password is one failure for so long: a push is a dozen requests with it.
const REPEATED_WITHIN: Duration = Duration::from_secs(10);
/// Attempts of an address that are told from new ones.
const RECENT: usize = 16;
/// New ones behind a closed door after which it is shut to what is known as well: who knows a password needs no guesses.
const MISSES: u32 = 50;
/// Addresses that are remembered.
const ADDRESSES: usize = 10_000;

/// Who failed how often.
#[derive(Default)]
pub(super) struct Throttle {
    records: Mutex<HashMap<Option<IpAddr>, Record>>,
}

/// A login that failed.
#[derive(Clone, Copy)]
pub(super) struct FailedLogin<'l> {
    /// None where it was not one of user and password.
    pub(super) fingerprint: Option<Fingerprint>,
    /// Whom it was for; empty where nobody was named.
    pub(super) user: &'l str,
    /// The client's; none where it came over a socket of the file system.
    pub(super) address: Option<IpAddr>,
    pub(super) reason: &'static str,
}

/// A door that is lockout for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lockout {
    pub(super) wait: Duration,
    /// Also to what is remembered as right.
    pub(super) is_shut: bool,
}

struct Record {
    failures: u32,
    /// Of the last failure, or of the end of the pause after it.
    since: Instant,
    /// Attempts of late, and when each was first counted.
    recent: VecDeque<(Fingerprint, Instant)>,
    /// Behind the closed door.
    misses: u32,
}

impl Record {
    /// Failures that still count.
    fn failures(&self, now: Instant) -> u32 {
        let forgotten =
            now.saturating_duration_since(self.since).as_secs() / FORGOTTEN_AFTER.as_secs();
        self.failures
            .saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }

    fn note(&mut self, fingerprint: Fingerprint, now: Instant) {
        self.recent.retain(|(other, _)| *other != fingerprint);
        self.recent.truncate(RECENT - 1);
        self.recent.push_front((fingerprint, now));
    }
}

impl Throttle {
    /// Whether, and for how long, no other password of this address is looked at.
    pub(super) fn lockout(&self, address: Option<IpAddr>, now: Instant) -> Option<Lockout> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let record = records.get(&address.map(client_key::of))?;
        let wait = record.since.saturating_duration_since(now);
        (!wait.is_zero()).then_some(Lockout {
            wait,
            is_shut: record.misses >= MISSES,
        })
    }

    /// Takes down a password that came to a closed door and is not known.
    pub(super) fn missed(&self, address: Option<IpAddr>, fingerprint: Fingerprint, now: Instant) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = records.get_mut(&address.map(client_key::of))
            && record.recent.iter().all(|(other, _)| *other != fingerprint)
        {
            record.note(fingerprint, now);
            record.misses = record.misses.saturating_add(1);
        }
    }

    /// Takes down a login that was looked at and failed: each is one line of the log, and one more where it closes the door.
    pub(super) fn failed(&self, failed: FailedLogin<'_>, now: Instant) {
        let Some(pause) = self.count(failed.address, failed.fingerprint, now) else {
            return;
        };
        failed.report();
        if !pause.is_zero() {
            let (address, wait) = (failed.address(), humantime::format_duration(pause));
            tracing::warn!(%address, %wait, "logins put off: too many of this address have failed, and more are not looked at");
        }
    }

    /// As [`Self::failed`], for what costs nothing to look at: behind a closed door it is only told how long to wait.
    pub(super) fn turn_away(&self, failed: FailedLogin<'_>, now: Instant) -> Option<Duration> {
        let lockout = self.lockout(failed.address, now);
        if lockout.is_none() {
            self.failed(failed, now);
        }
        lockout.map(|lockout| lockout.wait)
    }

    /// Gives how long the door is closed now; none where it is the same failure once more.
    fn count(
        &self,
        address: Option<IpAddr>,
        fingerprint: Option<Fingerprint>,
        now: Instant,
    ) -> Option<Duration> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let address = address.map(client_key::of);
        if records.len() >= ADDRESSES && !records.contains_key(&address) {
            make_room(&mut records, now);
        }
        let record = records.entry(address).or_insert_with(|| Record {
            failures: 0,
            since: now,
            recent: VecDeque::new(),
            misses: 0,
        });
        if let Some(fingerprint) = fingerprint {
            let is_repeated = |(other, counted): &(Fingerprint, Instant)| {
                *other == fingerprint && *counted + REPEATED_WITHIN > now
            };
            if record.recent.iter().any(is_repeated) {
                return None;
            }
            record.note(fingerprint, now);
        }
        let failures = record.failures(now).saturating_add(1);
        let pause = pause_after(failures);
        (record.failures, record.since, record.misses) = (failures, now + pause, 0);
        Some(pause)
    }
}

impl FailedLogin<'_> {
    /// The one line about it; what watches logs for attackers goes by its words (`docs/fail2ban`).
    fn report(&self) {
        const LONGEST_NAME: usize = 100;
        let user: String = self.user.chars().take(LONGEST_NAME).collect();
        // as a text value: control characters and quotes come out escaped
        tracing::warn!(user = user.as_str(), address = %self.address(), reason = self.reason, "login failed");
    }

    fn address(&self) -> String {
        self.address
            .map_or_else(|| "unix".to_owned(), |address| address.to_string())
    }
}

fn pause_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES + 1) {
        Some(doublings) => FIRST_PAUSE
            .saturating_mul(1 << doublings.min(20))
            .min(LONGEST_PAUSE),
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
        let (throttle, one, other) = (
            Throttle::default(),
            address("192.0.2.1"),
            address("192.0.2.2"),
        );
        let mut now = Instant::now();
        for _ in 0..FREE_FAILURES {
            throttle.count(one, None, now);
            assert_eq!(throttle.lockout(one, now), None);
        }
        let mut pauses = Vec::new();
        for _ in 0..12 {
            throttle.count(one, None, now);
            let pause = throttle.lockout(one, now).unwrap().wait;
            pauses.push(pause.as_secs());
            assert_eq!(throttle.lockout(other, now), None);
            now += pause;
            assert_eq!(throttle.lockout(one, now), None);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        // all is forgiven in the end
        now += FORGOTTEN_AFTER * 22;
        throttle.count(one, None, now);
        assert_eq!(throttle.lockout(one, now), None);
    }

    fn fingerprint(password: u32) -> Fingerprint {
        let cache = super::super::password_cache::PasswordCache::new(Duration::ZERO).unwrap();
        cache.fingerprint(
            "joe",
            &password.to_le_bytes(),
            &super::super::BcryptHash::dummy(4),
        )
    }

    #[test]
    fn the_same_wrong_password_is_one_failure_for_a_while() {
        let (throttle, one, now) = (Throttle::default(), address("192.0.2.1"), Instant::now());
        let old = fingerprint(1);
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(throttle.count(one, Some(old), now).is_some());
        for second in 0..10 {
            assert_eq!(throttle.count(one, Some(old), later(second)), None);
        }
        // and it closes the door like any other if it does not end
        let counted = (10..600).filter(|second| throttle.lockout(one, later(*second)).is_none());
        let counted = counted
            .filter(|second| throttle.count(one, Some(old), later(*second)).is_some())
            .count();
        assert!((10..30).contains(&counted), "{counted} failures");
    }

    #[test]
    fn guessing_behind_a_closed_door_shuts_it() {
        let (throttle, one, now) = (Throttle::default(), address("192.0.2.1"), Instant::now());
        for number in 0..=FREE_FAILURES {
            throttle.count(one, Some(fingerprint(number)), now);
        }
        let stale = fingerprint(1000);
        for _ in 0..1000 {
            throttle.missed(one, stale, now);
        }
        assert!(
            !throttle.lockout(one, now).unwrap().is_shut,
            "a script with an old password has shut it"
        );
        (0..MISSES).for_each(|number| throttle.missed(one, fingerprint(2000 + number), now));
        let lockout = throttle.lockout(one, now).unwrap();
        assert!(lockout.is_shut);
        let opened = now + lockout.wait;
        assert_eq!(throttle.lockout(one, opened), None);
        throttle.count(one, None, opened);
        assert!(!throttle.lockout(one, opened).unwrap().is_shut);
    }

    #[test]
    fn a_network_is_one_client() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for host in 0..=FREE_FAILURES {
            throttle.count(address(&format!("2001:db8::{host:x}")), None, now);
        }
        assert!(throttle.lockout(address("2001:db8::ffff:1"), now).is_some());
        assert!(throttle.lockout(address("2001:db8:0:1::1"), now).is_none());
        for _ in 0..=FREE_FAILURES {
            throttle.count(address("::ffff:192.0.2.1"), None, now);
        }
        assert!(throttle.lockout(address("192.0.2.1"), now).is_some());
    }

    #[test]
    fn memory_has_an_end_and_keeps_the_worst() {
        let throttle = Throttle::default();
        let (worst, now) = (address("192.0.2.1"), Instant::now());
        for _ in 0..=FREE_FAILURES {
            throttle.count(worst, None, now);
        }
        for number in 0..2 * ADDRESSES as u32 {
            throttle.count(Some(std::net::Ipv4Addr::from(number).into()), None, now);
        }
        assert!(throttle.records.lock().unwrap().len() <= ADDRESSES);
        assert!(throttle.lockout(worst, now).is_some());
    }
}
