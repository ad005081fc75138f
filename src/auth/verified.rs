//! Passwords that were right a moment ago.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use super::password::BcryptHash;

/// How many are remembered, at most twice this many for a while.
const GENERATION: usize = 5000;

/// A user, a password and the hash they are compared with, unreadable to whoever reads this process' memory later.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Attempt([u8; 32]);

/// Remembers which attempts were right.
///
/// The hash from the file is part of an attempt: as soon as it changes, or the user goes, what was remembered is never
/// asked for again. So a file that is swapped for one in which nothing changes costs nobody a hash.
pub(super) struct Verified {
    /// Random, and this process' own.
    key: hmac::Key,
    lifetime: Duration,
    /// When each was checked: the newer ones, and those from before the newer ones began.
    generations: Mutex<[HashMap<Attempt, Instant>; 2]>,
}

impl Verified {
    /// What is put in is forgotten after `lifetime`.
    pub(super) fn new(lifetime: Duration) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &aws_lc_rs::rand::SystemRandom::new())?;
        Ok(Self { key, lifetime, generations: Mutex::default() })
    }

    pub(super) fn attempt(&self, user: &str, password: &[u8], hash: &BcryptHash) -> Attempt {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user.as_bytes(), password, hash.as_str().as_bytes()] {
            // the length first, so that parts cannot run into each other
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut attempt = Attempt([0; 32]);
        attempt.0.copy_from_slice(context.sign().as_ref());
        attempt
    }

    pub(super) fn contains(&self, attempt: &Attempt) -> bool {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = generations.iter().find_map(|generation| generation.get(attempt));
        checked.is_some_and(|checked| checked.elapsed() < self.lifetime)
    }

    pub(super) fn insert(&self, attempt: Attempt) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations[0].len() >= GENERATION {
            generations[1] = std::mem::take(&mut generations[0]);
        }
        generations[0].insert(attempt, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_same_attempt_is_known() {
        let verified = Verified::new(Duration::from_secs(60)).unwrap();
        let (hash, other) = (BcryptHash::dummy(5), BcryptHash::dummy(6));
        verified.insert(verified.attempt("joe", b"secret", &hash));
        assert!(verified.contains(&verified.attempt("joe", b"secret", &hash)));
        for (user, password, hash) in [
            ("joe", "secret", &other),
            ("joe", "secre", &hash),
            ("joes", "ecret", &hash),
            ("Joe", "secret", &hash),
            ("", "joesecret", &hash),
        ] {
            assert!(!verified.contains(&verified.attempt(user, password.as_bytes(), hash)), "{user} {password}");
        }
        let elsewhere = Verified::new(Duration::from_secs(60)).unwrap();
        assert!(elsewhere.attempt("joe", b"secret", &hash) != verified.attempt("joe", b"secret", &hash), "the key is no secret");
    }

    #[test]
    fn memory_has_an_end_in_time_and_room() {
        let verified = Verified::new(Duration::ZERO).unwrap();
        let hash = BcryptHash::dummy(5);
        let attempt = verified.attempt("joe", b"secret", &hash);
        verified.insert(attempt);
        assert!(!verified.contains(&attempt));
        for number in 0..3 * GENERATION {
            verified.insert(verified.attempt(&number.to_string(), b"", &hash));
        }
        let kept: usize = verified.generations.lock().unwrap().iter().map(HashMap::len).sum();
        assert!(kept <= 2 * GENERATION, "{kept}");
    }
}
