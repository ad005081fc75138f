//! Throttling of failed logins by address, so that guessing slows down.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use jiff::fmt::friendly::SpanPrinter;
use parking_lot::Mutex;

use super::password::cache::Fingerprint;
use crate::client_key;

/// Number of failures without consequence: people mistype, and scripts with an old password retry.
const FREE_FAILURES: u32 = 10;
/// The same for an IPv6 /48, which one customer may have: 65,536 addresses as we count them.
const FREE_FAILURES_OF_SITE: u32 = 100;
/// Time without a failure after which one failure is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// First lockout; each further failure doubles it …
const FIRST_LOCKOUT: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_LOCKOUT: Duration = Duration::from_secs(15 * 60);
/// Time during which a repeated wrong password is one failure. A push is a dozen requests with it.
const REPEATED_WITHIN: Duration = Duration::from_secs(10);
/// Number of recent passwords of an address that do not count as new.
const RECENT: usize = 16;
/// New passwords tried during lockout after which even remembered ones are rejected.
///
/// A client that knows a password does not guess.
const MISSES: u32 = 50;
/// Maximum number of sources that are remembered.
const SOURCES: usize = 10_000;

/// Failed logins by where they came from.
#[derive(Default)]
pub(super) struct Throttle {
    records: Mutex<HashMap<Source, Record>>,
}

/// Origin of failed logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    UnixSocket,
    /// IPv4 address or IPv6 /64.
    Client(IpAddr),
    /// IPv6 /48.
    Site(Ipv6Addr),
}

/// Login whose credentials were checked and found wrong.
#[derive(Clone, Copy)]
pub(super) struct FailedLogin<'l> {
    /// `None` if the credentials were not a user and a password.
    pub(super) fingerprint: Option<Fingerprint>,
    /// The user's name; empty if none was given.
    pub(super) user: &'l str,
    /// The client's address; `None` if it connected to a Unix socket.
    pub(super) address: Option<IpAddr>,
    pub(super) reason: &'static str,
}

/// Time during which an address has no new password checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lockout {
    pub(super) wait: Duration,
    /// True if remembered passwords are rejected too.
    pub(super) is_total: bool,
}

struct Record {
    failures: u32,
    /// End of the last lockout, or time of the last failure if it caused none.
    since: Instant,
    /// Recent passwords, and when each was first counted.
    recent: VecDeque<(Fingerprint, Instant)>,
    /// New passwords tried during the lockout.
    misses: u32,
}

impl Record {
    /// Returns the number of failures that still count.
    fn failures(&self, now: Instant) -> u32 {
        let forgotten =
            now.saturating_duration_since(self.since).as_secs() / FORGOTTEN_AFTER.as_secs();
        self.failures
            .saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }

    /// Counts a failure and returns the lockout that follows.
    fn fail(&mut self, free: u32, now: Instant) -> Duration {
        let failures = self.failures(now).saturating_add(1);
        let lockout = lockout_after(failures, free);
        (self.failures, self.since, self.misses) = (failures, now + lockout, 0);
        lockout
    }

    fn note(&mut self, fingerprint: Fingerprint, now: Instant) {
        self.recent.retain(|(other, _)| *other != fingerprint);
        self.recent.truncate(RECENT - 1);
        self.recent.push_front((fingerprint, now));
    }
}

impl Throttle {
    /// Returns the lockout of an address or of its site, if there is one.
    pub(super) fn lockout(&self, address: Option<IpAddr>, now: Instant) -> Option<Lockout> {
        let records = self.records.lock();
        let lockout_of = |source| {
            let record = records.get(&source)?;
            let wait = record.since.saturating_duration_since(now);
            (!wait.is_zero()).then_some(Lockout {
                wait,
                is_total: record.misses >= MISSES,
            })
        };
        let client = lockout_of(Source::client(address));
        client.or_else(|| Source::site(address).and_then(lockout_of))
    }

    /// Counts an unknown password that was tried during a lockout.
    pub(super) fn count_miss(
        &self,
        address: Option<IpAddr>,
        fingerprint: Fingerprint,
        now: Instant,
    ) {
        let mut records = self.records.lock();
        // a site has no misses: its other clients may use what they got right
        if let Some(record) = records.get_mut(&Source::client(address))
            && record.recent.iter().all(|(other, _)| *other != fingerprint)
        {
            record.note(fingerprint, now);
            record.misses = record.misses.saturating_add(1);
        }
    }

    /// Counts and logs a failed login, and a lockout that it causes.
    pub(super) fn count_failure(&self, failed: FailedLogin<'_>, now: Instant) {
        let Some(lockout) = self.count(failed.address, failed.fingerprint, now) else {
            return;
        };
        failed.log();
        if !lockout.is_zero() {
            let wait = SpanPrinter::new().unsigned_duration_to_string(&lockout);
            tracing::warn!(
                address = %failed.address(),
                %wait,
                "too many failed logins from this address; further attempts are rejected unchecked"
            );
        }
    }

    /// Counts a failed login whose check costs nothing. During a lockout it returns the time left instead.
    pub(super) fn check_lockout(&self, failed: FailedLogin<'_>, now: Instant) -> Option<Duration> {
        let lockout = self.lockout(failed.address, now);
        if lockout.is_none() {
            self.count_failure(failed, now);
        }
        lockout.map(|lockout| lockout.wait)
    }

    /// Counts a failure and returns the lockout that follows; `None` for a repeated one.
    fn count(
        &self,
        address: Option<IpAddr>,
        fingerprint: Option<Fingerprint>,
        now: Instant,
    ) -> Option<Duration> {
        let mut records = self.records.lock();
        let record = record_of(&mut records, Source::client(address), now);
        if let Some(fingerprint) = fingerprint {
            let is_repeated = |(other, counted): &(Fingerprint, Instant)| {
                *other == fingerprint && *counted + REPEATED_WITHIN > now
            };
            if record.recent.iter().any(is_repeated) {
                return None;
            }
            record.note(fingerprint, now);
        }
        let lockout = record.fail(FREE_FAILURES, now);
        let site = Source::site(address).map_or(Duration::ZERO, |site| {
            record_of(&mut records, site, now).fail(FREE_FAILURES_OF_SITE, now)
        });
        Some(lockout.max(site))
    }
}

impl Source {
    fn client(address: Option<IpAddr>) -> Self {
        address.map_or(Self::UnixSocket, |address| {
            Self::Client(client_key::of(address))
        })
    }

    fn site(address: Option<IpAddr>) -> Option<Self> {
        match address?.to_canonical() {
            IpAddr::V6(address) => Some(Self::Site(Ipv6Addr::from_bits(
                address.to_bits() >> 80 << 80,
            ))),
            IpAddr::V4(_) => None,
        }
    }
}

impl FailedLogin<'_> {
    /// Logs the failure in the form that `docs/fail2ban` matches.
    fn log(&self) {
        const LONGEST_NAME: usize = 100;
        let user: String = self.user.chars().take(LONGEST_NAME).collect();
        // as a text value: control characters and quotes are escaped
        tracing::warn!(user = user.as_str(), address = %self.address(), reason = self.reason, "login failed");
    }

    fn address(&self) -> String {
        self.address
            .map_or_else(|| "unix".to_owned(), |address| address.to_string())
    }
}

fn lockout_after(failures: u32, free: u32) -> Duration {
    match failures.checked_sub(free + 1) {
        Some(doublings) => FIRST_LOCKOUT
            .saturating_mul(1 << doublings.min(20))
            .min(LONGEST_LOCKOUT),
        None => Duration::ZERO,
    }
}

/// Returns the record of a source, a new one if there is none.
fn record_of(records: &mut HashMap<Source, Record>, source: Source, now: Instant) -> &mut Record {
    if records.len() >= SOURCES && !records.contains_key(&source) {
        evict(records, now);
    }
    records.entry(source).or_insert_with(|| Record {
        failures: 0,
        since: now,
        recent: VecDeque::new(),
        misses: 0,
    })
}

/// Drops sources without a counting failure, or else the quarter with the fewest failures.
fn evict(records: &mut HashMap<Source, Record>, now: Instant) {
    records.retain(|_, record| record.failures(now) > 0);
    if records.len() >= SOURCES {
        let mut all: Vec<_> = records.drain().collect();
        all.sort_unstable_by_key(|(_, record)| std::cmp::Reverse((record.failures, record.since)));
        all.truncate(SOURCES / 4 * 3);
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
    fn lockouts_grow_and_end() {
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
        let mut lockouts = Vec::new();
        for _ in 0..12 {
            throttle.count(one, None, now);
            let wait = throttle.lockout(one, now).unwrap().wait;
            lockouts.push(wait.as_secs());
            assert_eq!(throttle.lockout(other, now), None);
            now += wait;
            assert_eq!(throttle.lockout(one, now), None);
        }
        assert_eq!(lockouts, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        // in the end all is forgotten
        now += FORGOTTEN_AFTER * 22;
        throttle.count(one, None, now);
        assert_eq!(throttle.lockout(one, now), None);
    }

    fn fingerprint(password: u32) -> Fingerprint {
        let cache = super::super::password::cache::PasswordCache::new(Duration::ZERO).unwrap();
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
        // if it does not end, it causes a lockout like any other
        let counted = (10..600).filter(|second| throttle.lockout(one, later(*second)).is_none());
        let counted = counted
            .filter(|second| throttle.count(one, Some(old), later(*second)).is_some())
            .count();
        assert!((10..30).contains(&counted), "{counted} failures");
    }

    #[test]
    fn guessing_during_a_lockout_makes_it_total() {
        let (throttle, one, now) = (Throttle::default(), address("192.0.2.1"), Instant::now());
        for number in 0..=FREE_FAILURES {
            throttle.count(one, Some(fingerprint(number)), now);
        }
        let stale = fingerprint(1000);
        for _ in 0..1000 {
            throttle.count_miss(one, stale, now);
        }
        assert!(
            !throttle.lockout(one, now).unwrap().is_total,
            "a script with an old password has made it total"
        );
        (0..MISSES).for_each(|number| throttle.count_miss(one, fingerprint(2000 + number), now));
        let lockout = throttle.lockout(one, now).unwrap();
        assert!(lockout.is_total);
        let end = now + lockout.wait;
        assert_eq!(throttle.lockout(one, end), None);
        throttle.count(one, None, end);
        assert!(!throttle.lockout(one, end).unwrap().is_total);
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
    fn a_site_with_many_networks_is_locked_out_in_the_end() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let network = |number: u32| address(&format!("2001:db8:0:{number:x}::1"));
        let checked = (0..2000).filter(|number| {
            let is_checked = throttle.lockout(network(*number), now).is_none();
            if is_checked {
                throttle.count(network(*number), None, now);
            }
            is_checked
        });
        assert_eq!(checked.count(), FREE_FAILURES_OF_SITE as usize + 1);
        // what its clients got right before stays valid
        for number in 0..2 * MISSES {
            throttle.count_miss(network(5000), fingerprint(number), now);
        }
        assert!(!throttle.lockout(network(5000), now).unwrap().is_total);
        assert_eq!(throttle.lockout(address("2001:db8:1::1"), now), None);
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_worst() {
        let throttle = Throttle::default();
        let (worst, now) = (address("192.0.2.1"), Instant::now());
        for _ in 0..=FREE_FAILURES {
            throttle.count(worst, None, now);
        }
        for number in 0..2 * SOURCES as u32 {
            throttle.count(Some(std::net::Ipv4Addr::from(number).into()), None, now);
        }
        assert!(throttle.records.lock().len() <= SOURCES);
        assert!(throttle.lockout(worst, now).is_some());
    }
}
