//! Comparing passwords with hashes: off the async threads, a few at a time, and each attempt once however many wait for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};

use super::attempts::{Attempts, Failed};
use super::password::BcryptHash;
use super::verified::{Attempt, Verified};
use crate::sparing::Sparing;

/// Attempts that may wait, for each core that works on them: at cost 10 about three seconds' worth.
const WAITING_PER_CORE: usize = 64;
/// What those are told for whom there is no room.
const FULL_PAUSE: Duration = Duration::from_secs(2);

/// How often the log says that there is no room.
const FULL_EVERY: Duration = Duration::from_secs(60);

/// A password that somebody claims to be a user's.
pub(super) struct Guess {
    pub(super) attempt: Attempt,
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
    cores: Semaphore,
    waiting: Mutex<HashMap<Attempt, Flight>>,
    room: usize,
    verified: Arc<Verified>,
    attempts: Arc<Attempts>,
    full: Sparing<()>,
}

/// An attempt on its way.
struct Flight {
    address: Option<IpAddr>,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Hashing {
    pub(super) fn new(verified: Arc<Verified>, attempts: Arc<Attempts>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (cores, room) = (Semaphore::new(cores), cores * WAITING_PER_CORE);
        let full = Sparing::new("logins without room", FULL_EVERY, 1);
        Self(Arc::new(Shared { cores, waiting: Mutex::default(), room, verified, attempts, full }))
    }

    /// Compares a password with a user's hash; one that is wrong is a failed login.
    ///
    /// It goes on when the client leaves, so that nobody guesses for less than the whole price, which is that of the dearest where
    /// the hash itself is cheaper: else the time would tell who is a user.
    pub(super) async fn check(&self, guess: Guess) -> Outcome {
        if let Some(pause) = self.0.attempts.pause(guess.address, Instant::now()) {
            return Outcome::Later(pause);
        }
        let Some(mut outcome) = self.join(guess) else {
            // whoever is put off has done nothing wrong
            if self.0.full.may_say(()) {
                tracing::warn!("more passwords wait to be looked at than there is room for: logins are put off");
            }
            return Outcome::Later(FULL_PAUSE);
        };
        // a sender that is gone without a word has panicked
        outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| *outcome).unwrap_or(Outcome::Later(FULL_PAUSE))
    }

    /// Attempts on their way.
    pub(super) fn queued(&self) -> usize {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Joins the same attempt that is on its way, or sets out. None where there is no room: one address gets half of it.
    fn join(&self, guess: Guess) -> Option<watch::Receiver<Option<Outcome>>> {
        let (attempt, address) = (guess.attempt, guess.address);
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = waiting.get(&attempt) {
            return Some(flight.outcome.clone());
        }
        let of_this_address = waiting.values().filter(|flight| flight.address == address).count();
        if waiting.len() >= self.0.room || of_this_address >= self.0.room / 2 {
            return None;
        }
        let (sender, outcome) = watch::channel(None);
        waiting.insert(attempt, Flight { address, outcome: outcome.clone() });
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let landing = Landing { shared: &shared, attempt };
            let outcome = shared.compare(guess).await;
            if outcome == Outcome::Right {
                // before it is taken off the list: who comes in between finds it in one of the two
                shared.verified.insert(attempt);
            }
            drop(landing);
            sender.send_replace(Some(outcome));
        });
        Some(outcome)
    }
}

impl Shared {
    async fn compare(&self, guess: Guess) -> Outcome {
        let Guess { user, password, hash, dearest, is_user, address, .. } = guess;
        // never closed
        let Ok(_core) = self.cores.acquire().await else { return Outcome::Later(FULL_PAUSE) };
        // others of this address may have failed meanwhile
        if let Some(pause) = self.attempts.pause(address, Instant::now()) {
            return Outcome::Later(pause);
        }
        match tokio::task::spawn_blocking(move || hash.matches(&password) || pay(&hash, &dearest, &password)).await {
            Ok(is_right) if is_right && is_user => Outcome::Right,
            Ok(_) => {
                let reason = if is_user { "wrong password" } else { "unknown user" };
                self.attempts.failed(Failed { user: &user, address, reason }, Instant::now());
                Outcome::Wrong
            }
            Err(_) => Outcome::Later(FULL_PAUSE),
        }
    }
}

/// Has a wrong password for a cheap hash take as long as one for the dearest; it stays wrong.
fn pay(hash: &BcryptHash, dearest: &BcryptHash, password: &[u8]) -> bool {
    if hash.cost() < dearest.cost() {
        std::hint::black_box(dearest.matches(password));
    }
    false
}

/// Takes an attempt off the list, also where its task panics.
struct Landing<'s> {
    shared: &'s Shared,
    attempt: Attempt,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.attempt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashing() -> (Arc<Verified>, Hashing) {
        let verified = Arc::new(Verified::new(Duration::from_secs(60)).unwrap());
        (Arc::clone(&verified), Hashing::new(verified, Arc::default()))
    }

    fn guess(verified: &Verified, password: &str, hash: &BcryptHash, address: Option<IpAddr>) -> Guess {
        let (user, password, hash) = ("joe".to_owned(), password.as_bytes().to_vec(), hash.clone());
        let attempt = verified.attempt(&user, &password, &hash);
        Guess { attempt, user, password, dearest: hash.clone(), hash, is_user: true, address }
    }

    fn host(number: u8) -> Option<IpAddr> {
        Some(std::net::Ipv4Addr::new(192, 0, 2, number).into())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_attempt_is_hashed_once() {
        let (verified, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 8).unwrap();
        let attempt = verified.attempt("joe", b"secret", &hash);
        let wrong = verified.attempt("joe", b"wrong", &hash);
        let checks: Vec<_> = (0..100).map(|_| hashing.check(guess(&verified, "secret", &hash, host(1)))).collect();
        assert!(futures_util::future::join_all(checks).await.iter().all(|outcome| *outcome == Outcome::Right));
        assert!(verified.contains(&attempt));
        // were each of these hashed, they would be too many failures
        let checks: Vec<_> = (0..100).map(|_| hashing.check(guess(&verified, "wrong", &hash, host(1)))).collect();
        assert!(futures_util::future::join_all(checks).await.iter().all(|outcome| *outcome == Outcome::Wrong));
        assert!(!verified.contains(&wrong));
        assert!(hashing.0.waiting.lock().unwrap().is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn guessing_ends_soon_for_one_address_only() {
        let (verified, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 4).unwrap();
        let guesses = (0..1000).map(|number| hashing.check(guess(&verified, &number.to_string(), &hash, host(1))));
        let outcomes = futures_util::future::join_all(guesses).await;
        let looked_at = outcomes.iter().filter(|outcome| **outcome == Outcome::Wrong).count();
        assert!((11..30).contains(&looked_at), "{looked_at} guesses");
        assert!(matches!(hashing.check(guess(&verified, "secret", &hash, host(1))).await, Outcome::Later(_)));
        assert_eq!(hashing.check(guess(&verified, "secret", &hash, host(2))).await, Outcome::Right);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_right_password_of_nobody_is_wrong() {
        let (verified, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 4).unwrap();
        let nobody = Guess { is_user: false, ..guess(&verified, "secret", &hash, host(1)) };
        let attempt = nobody.attempt;
        assert_eq!(hashing.check(nobody).await, Outcome::Wrong);
        assert!(!verified.contains(&attempt));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_leaves_pays_nevertheless() {
        let (verified, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 4).unwrap();
        let attempt = verified.attempt("joe", b"secret", &hash);
        // until the client has left, the attempt waits
        let shared = &hashing.0;
        let busy = shared.cores.acquire_many(u32::try_from(shared.cores.available_permits()).unwrap()).await.unwrap();
        let check = hashing.check(guess(&verified, "secret", &hash, host(1)));
        assert!(futures_util::future::FutureExt::now_or_never(check).is_none());
        drop(busy);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !verified.contains(&attempt) {
            assert!(Instant::now() < deadline, "the attempt was given up");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_room_is_bounded_and_nobody_has_all_of_it() {
        let (verified, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 4).unwrap();
        let (shared, cores) = (&hashing.0, std::thread::available_parallelism().unwrap().get());
        assert_eq!((shared.cores.available_permits(), shared.room), (cores, cores * WAITING_PER_CORE));
        // so that whoever is let in waits
        let busy = shared.cores.acquire_many(u32::try_from(cores).unwrap()).await.unwrap();
        let join = |number: usize, address| hashing.join(guess(&verified, &number.to_string(), &hash, address)).is_some();
        let of_one = (0..shared.room).filter(|number| join(*number, host(1))).count();
        assert_eq!(of_one, shared.room / 2);
        let of_others = (shared.room..2 * shared.room).filter(|number| join(*number, host(*number as u8 | 2))).count();
        assert_eq!((of_others, hashing.queued()), (shared.room / 2, shared.room));
        let later = hashing.check(guess(&verified, "one more", &hash, host(1))).await;
        assert_eq!(later, Outcome::Later(FULL_PAUSE));
        assert!(!shared.full.may_say(()), "the log does not say it");
        drop(busy);
    }

    /// The least that a wrong password took of three.
    async fn price(of: u32, dearest: u32) -> Duration {
        let (verified, hashing) = hashing();
        let (hash, dearest) = (BcryptHash::of(b"secret", of).unwrap(), BcryptHash::dummy(dearest));
        let mut least = Duration::MAX;
        for password in ["one", "two", "three"] {
            let guess = Guess { dearest: dearest.clone(), ..guess(&verified, password, &hash, host(1)) };
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
        assert!(cheap * 16 > dear, "{cheap:?} and {dear:?}");
    }
}
