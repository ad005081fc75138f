//! Comparing passwords with hashes: off the async threads, a few at a time, and each attempt once however many wait for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::fair_queue::FairQueue;
use super::password::BcryptHash;
use super::password_cache::{Fingerprint, PasswordCache};
use super::throttle::{FailedLogin, Throttle};
use crate::client_key;
use crate::log_limit::LogLimiter;

/// What may wait takes about so long, with as many cores as there are.
const WAITING: Duration = Duration::from_secs(10);
/// A hash of cost 10, of which each further one takes twice as long.
const PRICE_AT_10: Duration = Duration::from_millis(50);
/// Attempts that may wait for each core, however little they cost.
const WAITING_PER_CORE: u64 = 2000;
/// What those are told for whom there is no room.
const FULL_PAUSE: Duration = Duration::from_secs(2);

/// How often the log says that there is no room.
const FULL_EVERY: Duration = Duration::from_secs(60);

/// A password that somebody claims to be a user's.
pub(super) struct PasswordCheck {
    pub(super) fingerprint: Fingerprint,
    pub(super) user: String,
    pub(super) password: Vec<u8>,
    /// The user's; of a user that there is not, one that costs the same.
    pub(super) hash: BcryptHash,
    /// What the dearest hash costs.
    pub(super) dearest: BcryptHash,
    pub(super) is_user: bool,
    pub(super) address: Option<IpAddr>,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Right,
    Wrong,
    /// Not looked at: to be tried again after this time.
    Later(Duration),
}

/// The workshop; clones share it.
#[derive(Clone)]
pub(super) struct Hashing(Arc<Shared>);

struct Shared {
    cores: usize,
    work: Mutex<Work>,
    cache: Arc<PasswordCache>,
    throttle: Arc<Throttle>,
    full: LogLimiter<()>,
}

#[derive(Default)]
struct Work {
    /// Attempts on their way: they wait, or a worker has them.
    flights: HashMap<Fingerprint, watch::Receiver<Option<Outcome>>>,
    waiting: FairQueue<Option<IpAddr>, Job>,
    /// How many of them each client has brought.
    clients: HashMap<Option<IpAddr>, usize>,
    workers: usize,
}

struct Job {
    guess: PasswordCheck,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Hashing {
    pub(super) fn new(cache: Arc<PasswordCache>, throttle: Arc<Throttle>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let full = LogLimiter::new("logins without room", FULL_EVERY, 1);
        Self(Arc::new(Shared {
            cores,
            work: Mutex::default(),
            cache,
            throttle,
            full,
        }))
    }

    /// Compares a password with a user's hash; one that is wrong is a failed login.
    ///
    /// It goes on when the client leaves, so that nobody guesses for less than the whole price, which is that of the dearest where
    /// the hash itself is cheaper: else the time would tell who is a user.
    pub(super) async fn check(&self, guess: PasswordCheck) -> Outcome {
        let Some(mut outcome) = self.join(guess) else {
            // whoever is put off has done nothing wrong
            if self.0.full.may_say(()) {
                tracing::warn!(
                    "more passwords wait to be looked at than there is room for: logins are put off"
                );
            }
            return Outcome::Later(FULL_PAUSE);
        };
        // a sender that is gone without a word went with the runtime
        outcome
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|outcome| *outcome)
            .unwrap_or(Outcome::Later(FULL_PAUSE))
    }

    /// Attempts on their way.
    pub(super) fn queued(&self) -> usize {
        self.0.work().flights.len()
    }

    /// Whether a password of this client, an address or a network, is on its way.
    pub(super) fn is_at(&self, client: Option<IpAddr>) -> bool {
        self.0.work().clients.contains_key(&client)
    }

    /// Joins the same attempt that is on its way, or gets in line. None where there is no room: one client gets half of it.
    fn join(&self, guess: PasswordCheck) -> Option<watch::Receiver<Option<Outcome>>> {
        let client = guess.address.map(client_key::of);
        let mut work = self.0.work();
        if let Some(outcome) = work.flights.get(&guess.fingerprint) {
            return Some(outcome.clone());
        }
        let room = room(guess.dearest.cost(), self.0.cores);
        if work.waiting.len() >= room || work.waiting.of(&client) >= room / 2 {
            return None;
        }
        let (sender, outcome) = watch::channel(None);
        work.flights.insert(guess.fingerprint, outcome.clone());
        *work.clients.entry(client).or_default() += 1;
        work.waiting.push(
            client,
            Job {
                guess,
                outcome: sender,
            },
        );
        if work.workers < self.0.cores {
            work.workers += 1;
            drop(work);
            Shared::set_to_work(Arc::clone(&self.0));
        }
        Some(outcome)
    }
}

/// How many passwords may wait.
fn room(cost: u32, cores: usize) -> usize {
    let price = PRICE_AT_10.as_micros() << cost >> 10;
    let each = u64::try_from(WAITING.as_micros() / price.max(1))
        .unwrap_or(u64::MAX)
        .clamp(4, WAITING_PER_CORE);
    cores * usize::try_from(each).unwrap_or(usize::MAX)
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a blocking thread do what waits, one at a time: so the end of the server waits for one hash and no more.
    fn set_to_work(shared: Arc<Self>) {
        tokio::task::spawn_blocking(move || {
            if let Some(job) = shared.next() {
                shared.land(job);
                Self::set_to_work(shared);
            }
        });
    }

    /// A worker's next job. Without one it is none any more.
    fn next(&self) -> Option<Job> {
        let mut work = self.work();
        let job = work.waiting.pop();
        if job.is_none() {
            work.workers -= 1;
        }
        job
    }

    fn land(
        &self,
        Job {
            guess,
            outcome: sender,
        }: Job,
    ) {
        // a panic was logged where it happened, and must not cost a worker
        let compared = panic::catch_unwind(AssertUnwindSafe(|| self.compare(&guess)));
        let outcome = compared.unwrap_or(Outcome::Later(FULL_PAUSE));
        let client = guess.address.map(client_key::of);
        if outcome == Outcome::Right {
            // before it is taken off the list: who comes in between finds it in one of the two
            self.cache.insert(guess.fingerprint, client);
        }
        let mut work = self.work();
        work.flights.remove(&guess.fingerprint);
        if let Entry::Occupied(mut count) = work.clients.entry(client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        drop(work);
        sender.send_replace(Some(outcome));
    }

    fn compare(&self, guess: &PasswordCheck) -> Outcome {
        let PasswordCheck {
            fingerprint,
            user,
            password,
            hash,
            dearest,
            is_user,
            address,
        } = guess;
        // others of this client may have failed meanwhile
        if let Some(lockout) = self.throttle.lockout(*address, Instant::now()) {
            return Outcome::Later(lockout.wait);
        }
        if hash.matches(password) && *is_user {
            return Outcome::Right;
        }
        pay_the_rest(hash, dearest, password);
        let reason = if *is_user {
            "wrong password"
        } else {
            "unknown user"
        };
        self.throttle.failed(
            FailedLogin {
                fingerprint: Some(*fingerprint),
                user,
                address: *address,
                reason,
            },
            Instant::now(),
        );
        Outcome::Wrong
    }
}

/// Has a wrong password for a cheap hash take as long as one for the dearest. Each cost is twice the one before: those from
/// the hash's own on, and itself, come to that.
fn pay_the_rest(hash: &BcryptHash, dearest: &BcryptHash, password: &[u8]) {
    for cost in hash.cost()..dearest.cost() {
        std::hint::black_box(BcryptHash::dummy(cost).matches(password));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn hashing() -> (Arc<PasswordCache>, Hashing) {
        let cache = Arc::new(PasswordCache::new(Duration::from_secs(60)).unwrap());
        (Arc::clone(&cache), Hashing::new(cache, Arc::default()))
    }

    fn guess(
        cache: &PasswordCache,
        password: &str,
        hash: &BcryptHash,
        address: Option<IpAddr>,
    ) -> PasswordCheck {
        let (user, password, hash) = ("joe".to_owned(), password.as_bytes().to_vec(), hash.clone());
        let fingerprint = cache.fingerprint(&user, &password, &hash);
        PasswordCheck {
            fingerprint,
            user,
            password,
            dearest: hash.clone(),
            hash,
            is_user: true,
            address,
        }
    }

    fn host(number: u8) -> Option<IpAddr> {
        Some(std::net::Ipv4Addr::new(192, 0, 2, number).into())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_attempt_is_hashed_once() {
        let (cache, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 8).unwrap();
        let fingerprint = cache.fingerprint("joe", b"secret", &hash);
        let wrong = cache.fingerprint("joe", b"wrong", &hash);
        let checks: Vec<_> = (0..100)
            .map(|_| hashing.check(guess(&cache, "secret", &hash, host(1))))
            .collect();
        assert!(
            futures_util::future::join_all(checks)
                .await
                .iter()
                .all(|outcome| *outcome == Outcome::Right)
        );
        assert!(cache.knows(&fingerprint, host(1), false));
        // were each of these hashed, they would be too many failures
        let checks: Vec<_> = (0..100)
            .map(|_| hashing.check(guess(&cache, "wrong", &hash, host(1))))
            .collect();
        assert!(
            futures_util::future::join_all(checks)
                .await
                .iter()
                .all(|outcome| *outcome == Outcome::Wrong)
        );
        assert!(!cache.knows(&wrong, host(1), false));
        assert!(hashing.queued() == 0 && !hashing.is_at(host(1)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn guessing_ends_soon_for_one_address_only() {
        let (cache, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 4).unwrap();
        let guesses = (0..1000)
            .map(|number| hashing.check(guess(&cache, &number.to_string(), &hash, host(1))));
        let outcomes = futures_util::future::join_all(guesses).await;
        let looked_at = outcomes
            .iter()
            .filter(|outcome| **outcome == Outcome::Wrong)
            .count();
        assert!((11..30).contains(&looked_at), "{looked_at} guesses");
        assert!(matches!(
            hashing.check(guess(&cache, "secret", &hash, host(1))).await,
            Outcome::Later(_)
        ));
        assert_eq!(
            hashing.check(guess(&cache, "secret", &hash, host(2))).await,
            Outcome::Right
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_right_password_of_nobody_is_wrong() {
        let (cache, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 4).unwrap();
        let nobody = PasswordCheck {
            is_user: false,
            ..guess(&cache, "secret", &hash, host(1))
        };
        let fingerprint = nobody.fingerprint;
        assert_eq!(hashing.check(nobody).await, Outcome::Wrong);
        assert!(!cache.knows(&fingerprint, host(1), false));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_leaves_pays_nevertheless() {
        let (cache, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 4).unwrap();
        let fingerprint = cache.fingerprint("joe", b"secret", &hash);
        // until the client has left, the attempt waits
        keep_busy(&hashing, hashing.0.cores);
        let check = hashing.check(guess(&cache, "secret", &hash, host(1)));
        assert!(futures_util::future::FutureExt::now_or_never(check).is_none());
        keep_busy(&hashing, 0);
        Shared::set_to_work(Arc::clone(&hashing.0));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !cache.knows(&fingerprint, host(1), false) {
            assert!(Instant::now() < deadline, "the fingerprint was given up");
            tokio::task::yield_now().await;
        }
    }

    /// Has it believe in so many workers, who do nothing.
    pub(in crate::auth) fn keep_busy(hashing: &Hashing, workers: usize) {
        hashing.0.work().workers = workers;
    }

    #[tokio::test]
    async fn the_room_is_bounded_and_nobody_has_all_of_it() {
        let (cache, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 4).unwrap();
        let (cores, room) = (hashing.0.cores, room(4, hashing.0.cores));
        assert_eq!(
            (cores, room),
            (
                std::thread::available_parallelism().unwrap().get(),
                cores * WAITING_PER_CORE as usize
            )
        );
        // so that whoever is let in waits
        keep_busy(&hashing, cores);
        let join = |number: usize, address| {
            hashing
                .join(guess(&cache, &number.to_string(), &hash, address))
                .is_some()
        };
        let of_one = (0..room).filter(|number| join(*number, host(1))).count();
        assert_eq!(of_one, room / 2);
        let of_others = (room..2 * room)
            .filter(|number| join(*number, host(*number as u8 | 2)))
            .count();
        assert_eq!((of_others, hashing.queued()), (room / 2, room));
        let later = hashing
            .check(guess(&cache, "one more", &hash, host(1)))
            .await;
        assert_eq!(later, Outcome::Later(FULL_PAUSE));
        assert!(!hashing.0.full.may_say(()), "the log does not say it");
        // of an IPv6 network, no host has a line of its own
        assert!(
            hashing
                .join(guess(
                    &cache,
                    "of a network",
                    &hash,
                    Some("2001:db8::1".parse().unwrap())
                ))
                .is_none()
        );
    }

    #[test]
    fn as_much_may_wait_as_takes_some_seconds() {
        assert_eq!(
            [5, 10, 12, 14, 20].map(|cost| room(cost, 2)),
            [4000, 400, 100, 24, 8]
        );
    }

    /// Addresses that guess in numbers, each within what is free, keep others waiting for one turn each.
    #[tokio::test(flavor = "multi_thread")]
    async fn who_comes_last_with_one_password_does_not_wait_for_all_others() {
        let (cache, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 4).unwrap();
        keep_busy(&hashing, hashing.0.cores);
        let guesses: Vec<_> = (0..50)
            .map(|number| guess(&cache, &number.to_string(), &hash, host(1)))
            .collect();
        guesses
            .into_iter()
            .for_each(|guess| drop(hashing.join(guess)));
        let mut right = hashing
            .join(guess(&cache, "secret", &hash, host(2)))
            .unwrap();
        // one worker, by hand
        for _ in 0..2 {
            let job = hashing.0.next().unwrap();
            hashing.0.land(job);
        }
        assert_eq!(*right.borrow_and_update(), Some(Outcome::Right));
    }

    /// The least that a wrong password took of three.
    async fn price(of: u32, dearest: u32) -> Duration {
        let (cache, hashing) = hashing();
        let (hash, dearest) = (
            BcryptHash::of(b"secret", of).unwrap(),
            BcryptHash::dummy(dearest),
        );
        let mut least = Duration::MAX;
        for password in ["one", "two", "three"] {
            let guess = PasswordCheck {
                dearest: dearest.clone(),
                ..guess(&cache, password, &hash, host(1))
            };
            let begun = Instant::now();
            let outcome = hashing.check(guess).await;
            assert_eq!(outcome, Outcome::Wrong);
            least = least.min(begun.elapsed());
        }
        least
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_wrong_password_for_a_cheap_hash_has_the_price_of_the_dearest() {
        // without it, 64 times less; on a busy machine either may take some times as long
        let (cheap, dear) = (price(4, 10).await, price(10, 10).await);
        assert!(
            cheap * 16 > dear && dear * 16 > cheap,
            "{cheap:?} and {dear:?}"
        );
    }
}
