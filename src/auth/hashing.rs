//! Comparing passwords with hashes: off the async threads, a few at a time, and each attempt once however many wait for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};

use super::attempts::Attempts;
use super::password::BcryptHash;
use super::verified::{Attempt, Verified};

/// Attempts that may wait, for each core that works on them: at cost 10 about three seconds' worth.
const WAITING_PER_CORE: usize = 64;
/// What those are told for whom there is no room.
const FULL_PAUSE: Duration = Duration::from_secs(2);

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
    attempts: Attempts,
}

/// An attempt on its way.
struct Flight {
    address: Option<IpAddr>,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Hashing {
    pub(super) fn new(verified: Arc<Verified>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (cores, room) = (Semaphore::new(cores), cores * WAITING_PER_CORE);
        Self(Arc::new(Shared { cores, waiting: Mutex::default(), room, verified, attempts: Attempts::default() }))
    }

    /// Compares a password with a user's hash; for a user that there is not, with one that never fits.
    ///
    /// It goes on when the client leaves, so that nobody guesses for less than the whole price, which is that of `dearest` where the
    /// hash itself is cheaper: else the time would tell who is a user.
    pub(super) async fn check(
        &self,
        attempt: Attempt,
        password: Vec<u8>,
        hash: BcryptHash,
        dearest: BcryptHash,
        address: Option<IpAddr>,
    ) -> Outcome {
        if let Some(pause) = self.0.attempts.pause(address, Instant::now()) {
            return Outcome::Later(pause);
        }
        let mut outcome = match self.join(attempt, password, (hash, dearest), address) {
            Some(outcome) => outcome,
            None => return Outcome::Later(FULL_PAUSE),
        };
        // a sender that is gone without a word has panicked
        outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| *outcome).unwrap_or(Outcome::Later(FULL_PAUSE))
    }

    /// Attempts on their way.
    pub(super) fn queued(&self) -> usize {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Joins the same attempt that is on its way, or sets out. None where there is no room: one address gets half of it.
    fn join(
        &self,
        attempt: Attempt,
        password: Vec<u8>,
        hashes: (BcryptHash, BcryptHash),
        address: Option<IpAddr>,
    ) -> Option<watch::Receiver<Option<Outcome>>> {
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
            let outcome = shared.compare(password, hashes, address).await;
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
    async fn compare(&self, password: Vec<u8>, (hash, dearest): (BcryptHash, BcryptHash), address: Option<IpAddr>) -> Outcome {
        // never closed
        let Ok(_core) = self.cores.acquire().await else { return Outcome::Later(FULL_PAUSE) };
        // others of this address may have failed meanwhile
        if let Some(pause) = self.attempts.pause(address, Instant::now()) {
            return Outcome::Later(pause);
        }
        match tokio::task::spawn_blocking(move || hash.matches(&password) || pay(&hash, &dearest, &password)).await {
            Ok(true) => Outcome::Right,
            Ok(false) => {
                self.attempts.failed(address, Instant::now());
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
        (Arc::clone(&verified), Hashing::new(verified))
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
        let checks: Vec<_> = (0..100).map(|_| hashing.check(attempt, b"secret".to_vec(), hash.clone(), hash.clone(), host(1))).collect();
        assert!(futures_util::future::join_all(checks).await.iter().all(|outcome| *outcome == Outcome::Right));
        assert!(verified.contains(&attempt));
        // were each of these hashed, they would be too many failures
        let checks: Vec<_> = (0..100).map(|_| hashing.check(wrong, b"wrong".to_vec(), hash.clone(), hash.clone(), host(1))).collect();
        assert!(futures_util::future::join_all(checks).await.iter().all(|outcome| *outcome == Outcome::Wrong));
        assert!(!verified.contains(&wrong));
        assert!(hashing.0.waiting.lock().unwrap().is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn guessing_ends_soon_for_one_address_only() {
        let (verified, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 4).unwrap();
        let guess = |number: usize, address| {
            let password = number.to_string().into_bytes();
            let attempt = verified.attempt("joe", &password, &hash);
            hashing.check(attempt, password, hash.clone(), hash.clone(), address)
        };
        let outcomes = futures_util::future::join_all((0..1000).map(|number| guess(number, host(1)))).await;
        let looked_at = outcomes.iter().filter(|outcome| **outcome == Outcome::Wrong).count();
        assert!((11..30).contains(&looked_at), "{looked_at} guesses");
        let attempt = verified.attempt("joe", b"secret", &hash);
        assert!(matches!(hashing.check(attempt, b"secret".to_vec(), hash.clone(), hash.clone(), host(1)).await, Outcome::Later(_)));
        assert_eq!(hashing.check(attempt, b"secret".to_vec(), hash.clone(), hash.clone(), host(2)).await, Outcome::Right);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_leaves_pays_nevertheless() {
        let (verified, hashing) = hashing();
        let hash = BcryptHash::of(b"secret", 4).unwrap();
        let attempt = verified.attempt("joe", b"secret", &hash);
        let check = hashing.check(attempt, b"secret".to_vec(), hash.clone(), hash, host(1));
        assert!(futures_util::future::FutureExt::now_or_never(check).is_none());
        let deadline = Instant::now() + Duration::from_secs(20);
        while !verified.contains(&attempt) {
            assert!(Instant::now() < deadline, "the attempt was given up");
            tokio::task::yield_now().await;
        }
    }

    /// The least that a wrong password took of three.
    async fn price(of: u32, dearest: u32) -> Duration {
        let (verified, hashing) = hashing();
        let (hash, dearest) = (BcryptHash::of(b"secret", of).unwrap(), BcryptHash::dummy(dearest));
        let mut least = Duration::MAX;
        for password in ["one", "two", "three"] {
            let attempt = verified.attempt("joe", password.as_bytes(), &hash);
            let begun = Instant::now();
            let outcome = hashing.check(attempt, password.into(), hash.clone(), dearest.clone(), host(1)).await;
            assert_eq!(outcome, Outcome::Wrong);
            least = least.min(begun.elapsed());
        }
        least
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_wrong_password_for_a_cheap_hash_has_the_price_of_the_dearest() {
        // without it, 64 times less
        let (cheap, dear) = (price(4, 10).await, price(10, 10).await);
        assert!(cheap * 4 > dear, "{cheap:?} and {dear:?}");
    }
}
