//! Memory of passwords that were correct a short time ago.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;

use super::bcrypt_hash::BcryptHash;

/// Number of entries kept at least; up to twice as many for a while.
const GENERATION: usize = 5000;
/// Maximum number of clients remembered for each entry.
const CLIENTS: usize = 64;

/// Keyed hash of a user, a password and the file's hash.
///
/// It reveals none of them to a reader of this process' memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::auth) struct Fingerprint([u8; 32]);

/// Passwords that were found correct, by fingerprint.
///
/// The hash from the file is part of a fingerprint: once it changes, or the user is removed, the entry is never asked for
/// again. Replacing the file by one with the same users costs no hashing.
pub(in crate::auth) struct PasswordCache {
    /// Keyed by random bytes that only this process knows.
    keyed: Hmac<Sha256>,
    lifetime: Duration,
    /// The newer entries, and those from before the newer ones began.
    generations: Mutex<[HashMap<Fingerprint, Entry>; 2]>,
}

struct Entry {
    checked: Instant,
    /// Clients that have used the password.
    clients: Vec<Option<IpAddr>>,
}

impl PasswordCache {
    /// Creates a cache whose entries expire after `lifetime`.
    pub(in crate::auth) fn new(lifetime: Duration) -> Result<Self, aws_lc_rs::error::Unspecified> {
        // one block of the hash
        let mut key = [0; 64];
        aws_lc_rs::rand::fill(&mut key)?;
        Ok(Self {
            keyed: Hmac::new(&key.into()),
            lifetime,
            generations: Mutex::default(),
        })
    }

    pub(in crate::auth) fn fingerprint(
        &self,
        user: &str,
        password: &[u8],
        hash: &BcryptHash,
    ) -> Fingerprint {
        let mut context = self.keyed.clone();
        for part in [user.as_bytes(), password, hash.as_str().as_bytes()] {
            // the length first, so that parts cannot run into each other
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        Fingerprint(context.finalize().into_bytes().into())
    }

    /// Reports whether a password is known to be correct, and records its use by `client`.
    pub(super) fn is_known(&self, fingerprint: &Fingerprint, client: Option<IpAddr>) -> bool {
        self.find(fingerprint, |entry| {
            if !entry.clients.contains(&client) && entry.clients.len() < CLIENTS {
                entry.clients.push(client);
            }
            true
        })
    }

    /// Reports whether `client` itself has used a password that is known to be correct.
    pub(super) fn is_known_to(&self, fingerprint: &Fingerprint, client: Option<IpAddr>) -> bool {
        self.find(fingerprint, |entry| entry.clients.contains(&client))
    }

    fn find(&self, fingerprint: &Fingerprint, is_match: impl FnOnce(&mut Entry) -> bool) -> bool {
        let mut generations = self.generations.lock();
        let entry = generations
            .iter_mut()
            .find_map(|generation| generation.get_mut(fingerprint));
        entry.is_some_and(|entry| entry.checked.elapsed() < self.lifetime && is_match(entry))
    }

    pub(super) fn insert(&self, fingerprint: Fingerprint, client: Option<IpAddr>) {
        let mut generations = self.generations.lock();
        if generations[0].len() >= GENERATION {
            generations[1] = std::mem::take(&mut generations[0]);
        }
        generations[0].insert(
            fingerprint,
            Entry {
                checked: Instant::now(),
                clients: vec![client],
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_user_password_and_hash_are_known() {
        let cache = PasswordCache::new(Duration::from_secs(60)).unwrap();
        let (hash, other) = (BcryptHash::dummy(5), BcryptHash::dummy(6));
        cache.insert(cache.fingerprint("joe", b"secret", &hash), None);
        assert!(cache.is_known(&cache.fingerprint("joe", b"secret", &hash), None));
        for (user, password, hash) in [
            ("joe", "secret", &other),
            ("joe", "secre", &hash),
            ("joes", "ecret", &hash),
            ("Joe", "secret", &hash),
            ("", "joesecret", &hash),
        ] {
            assert!(
                !cache.is_known(&cache.fingerprint(user, password.as_bytes(), hash), None),
                "{user} {password}"
            );
        }
        let elsewhere = PasswordCache::new(Duration::from_secs(60)).unwrap();
        assert!(
            elsewhere.fingerprint("joe", b"secret", &hash)
                != cache.fingerprint("joe", b"secret", &hash),
            "the key is no secret"
        );
    }

    #[test]
    fn logins_of_others_are_not_ones_own() {
        let cache = PasswordCache::new(Duration::from_secs(60)).unwrap();
        let [one, other, third] =
            ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|address| Some(address.parse().unwrap()));
        let fingerprint = cache.fingerprint("joe", b"secret", &BcryptHash::dummy(5));
        cache.insert(fingerprint, one);
        assert!(cache.is_known_to(&fingerprint, one) && !cache.is_known_to(&fingerprint, other));
        // without a lockout it counts, and becomes its own
        assert!(cache.is_known(&fingerprint, other) && cache.is_known_to(&fingerprint, other));
        assert!(!cache.is_known_to(&fingerprint, third));
        for host in 0..=255 {
            cache.is_known(
                &fingerprint,
                Some(std::net::Ipv4Addr::new(10, 0, 0, host).into()),
            );
        }
        let generations = cache.generations.lock();
        assert_eq!(generations[0][&fingerprint].clients.len(), CLIENTS);
    }

    #[test]
    fn memory_is_bounded_in_time_and_size() {
        let cache = PasswordCache::new(Duration::ZERO).unwrap();
        let hash = BcryptHash::dummy(5);
        let fingerprint = cache.fingerprint("joe", b"secret", &hash);
        cache.insert(fingerprint, None);
        assert!(!cache.is_known(&fingerprint, None));
        for number in 0..3 * GENERATION {
            cache.insert(cache.fingerprint(&number.to_string(), b"", &hash), None);
        }
        let kept: usize = cache.generations.lock().iter().map(HashMap::len).sum();
        assert!(kept <= 2 * GENERATION, "{kept}");
    }
}
