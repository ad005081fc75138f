//! Passwords that were right a moment ago.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::password::BcryptHash;

/// How many are remembered, at most twice this many for a while.
const GENERATION: usize = 5000;
/// Clients that are remembered of each.
const CLIENTS: usize = 64;

/// A user, a password and the hash they are compared with, unreadable to whoever reads this process' memory later.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

/// Remembers which attempts were right.
///
/// The hash from the file is part of an attempt: as soon as it changes, or the user goes, what was remembered is never
/// asked for again. So a file that is swapped for one in which nothing changes costs nobody a hash.
pub(super) struct PasswordCache {
    /// Keyed by random bytes of this process.
    keyed: Hmac<Sha256>,
    lifetime: Duration,
    /// When each was checked: the newer ones, and those from before the newer ones began.
    generations: Mutex<[HashMap<Fingerprint, Entry>; 2]>,
}

struct Entry {
    checked: Instant,
    /// Who has used it: addresses, or networks.
    clients: Vec<Option<IpAddr>>,
}

impl PasswordCache {
    /// What is put in is forgotten after `lifetime`.
    pub(super) fn new(lifetime: Duration) -> Result<Self, aws_lc_rs::error::Unspecified> {
        // a whole block of the hash
        let mut key = [0; 64];
        aws_lc_rs::rand::fill(&mut key)?;
        Ok(Self {
            keyed: Hmac::new(&key.into()),
            lifetime,
            generations: Mutex::default(),
        })
    }

    pub(super) fn fingerprint(
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

    /// Whether an attempt was right, whoever made it; or, where only a client's `own` count, whether it has made it itself.
    /// What others got right would tell a client that may guess no more whether it has guessed right.
    pub(super) fn knows(
        &self,
        fingerprint: &Fingerprint,
        client: Option<IpAddr>,
        own: bool,
    ) -> bool {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = generations
            .iter_mut()
            .find_map(|generation| generation.get_mut(fingerprint))
        else {
            return false;
        };
        if entry.checked.elapsed() >= self.lifetime {
            return false;
        }
        let is_own = entry.clients.contains(&client);
        if !is_own && !own && entry.clients.len() < CLIENTS {
            entry.clients.push(client);
        }
        is_own || !own
    }

    pub(super) fn insert(&self, fingerprint: Fingerprint, client: Option<IpAddr>) {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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
    fn only_the_very_same_attempt_is_known() {
        let cache = PasswordCache::new(Duration::from_secs(60)).unwrap();
        let (hash, other) = (BcryptHash::dummy(5), BcryptHash::dummy(6));
        cache.insert(cache.fingerprint("joe", b"secret", &hash), None);
        assert!(cache.knows(&cache.fingerprint("joe", b"secret", &hash), None, false));
        for (user, password, hash) in [
            ("joe", "secret", &other),
            ("joe", "secre", &hash),
            ("joes", "ecret", &hash),
            ("Joe", "secret", &hash),
            ("", "joesecret", &hash),
        ] {
            assert!(
                !cache.knows(
                    &cache.fingerprint(user, password.as_bytes(), hash),
                    None,
                    false
                ),
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
    fn what_others_got_right_is_not_ones_own() {
        let cache = PasswordCache::new(Duration::from_secs(60)).unwrap();
        let [one, other, third] =
            ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|address| Some(address.parse().unwrap()));
        let fingerprint = cache.fingerprint("joe", b"secret", &BcryptHash::dummy(5));
        cache.insert(fingerprint, one);
        assert!(cache.knows(&fingerprint, one, true) && !cache.knows(&fingerprint, other, true));
        // with an open door it counts, and becomes its own
        assert!(cache.knows(&fingerprint, other, false) && cache.knows(&fingerprint, other, true));
        assert!(!cache.knows(&fingerprint, third, true));
        for host in 0..=255 {
            cache.knows(
                &fingerprint,
                Some(std::net::Ipv4Addr::new(10, 0, 0, host).into()),
                false,
            );
        }
        let generations = cache.generations.lock().unwrap();
        assert_eq!(generations[0][&fingerprint].clients.len(), CLIENTS);
    }

    #[test]
    fn memory_has_an_end_in_time_and_room() {
        let cache = PasswordCache::new(Duration::ZERO).unwrap();
        let hash = BcryptHash::dummy(5);
        let fingerprint = cache.fingerprint("joe", b"secret", &hash);
        cache.insert(fingerprint, None);
        assert!(!cache.knows(&fingerprint, None, false));
        for number in 0..3 * GENERATION {
            cache.insert(cache.fingerprint(&number.to_string(), b"", &hash), None);
        }
        let kept: usize = cache
            .generations
            .lock()
            .unwrap()
            .iter()
            .map(HashMap::len)
            .sum();
        assert!(kept <= 2 * GENERATION, "{kept}");
    }
}
