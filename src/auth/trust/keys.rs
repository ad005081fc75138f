//! Keys of issuers: fetched, refreshed, and kept for the time in which an issuer is down.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::issuer::Issuer;
use crate::auth::issued::TokenSource;
use crate::auth::token::{Jwks, Key};

/// Age at which keys are fetched again: for so long a key counts that its issuer has withdrawn.
const REFRESH: Duration = Duration::from_secs(3600);
/// Pause after which a failed refresh is tried again.
const RETRY: Duration = Duration::from_secs(60);
/// Minimum pause between two fetches for the sake of clients, who may name any key.
const PAUSE: Duration = Duration::from_secs(5);

/// Keys by issuer. They outlive a change of the settings.
#[derive(Default)]
pub(in crate::auth) struct Issuers(Mutex<HashMap<Issuer, Arc<IssuerKeys>>>);

impl Issuers {
    /// Returns the keys of an issuer, shared by all settings with this issuer; forgets those without any.
    pub(in crate::auth) fn of(&self, issuer: Issuer) -> Arc<IssuerKeys> {
        let mut issuers = self.0.lock();
        issuers.retain(|known, keys| *known == issuer || Arc::strong_count(keys) > 1);
        let keys = issuers
            .entry(issuer)
            .or_insert_with_key(|issuer| Arc::new(IssuerKeys::new(issuer.clone())));
        Arc::clone(keys)
    }
}

/// Keys of one issuer.
pub(in crate::auth) struct IssuerKeys {
    issuer: Issuer,
    known: Mutex<Known>,
    /// Held while keys are fetched, by one request for all.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Option<Arc<Jwks>>,
    /// The set that they were read from.
    set: Vec<u8>,
    /// True once the stored ones were looked for.
    is_restored: bool,
    /// Time of the last fetch that succeeded.
    fetched: Option<Instant>,
    /// Time of the last fetch.
    tried: Option<Instant>,
    is_in_trouble: bool,
}

/// Reason why a key is not found.
pub(super) enum Missing {
    /// The issuer has no such key.
    Unknown,
    /// No key of the issuer is known, because it cannot be reached.
    Unreachable,
}

impl IssuerKeys {
    fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the key with this id; asks the issuer for one that is unknown, though not too often.
    pub(super) async fn key(&self, id: &str, store: &dyn TokenSource) -> Result<Key, Missing> {
        if let Some(key) = self.known_key(id) {
            return Ok(key);
        }
        self.restore(store).await;
        if self.known_key(id).is_none() {
            self.fetch(PAUSE, store).await;
        }
        match self.known_key(id) {
            Some(key) => Ok(key),
            None if self.known.lock().keys.is_some() => Err(Missing::Unknown),
            None => Err(Missing::Unreachable),
        }
    }

    /// Fetches keys that are old, or that are not known yet.
    pub(in crate::auth) async fn refresh(&self, store: &dyn TokenSource) {
        let fetched = self.known.lock().fetched;
        if fetched.is_none_or(|fetched| fetched.elapsed() >= REFRESH) {
            self.restore(store).await;
            self.fetch(RETRY, store).await;
        }
    }

    fn known_key(&self, id: &str) -> Option<Key> {
        self.known.lock().keys.as_ref()?.key(id).cloned()
    }

    /// Takes the keys that were stored before the process started.
    async fn restore(&self, store: &dyn TokenSource) {
        if std::mem::replace(&mut self.known.lock().is_restored, true) {
            return;
        }
        let stored = store.issuer_keys(&self.issuer.url).await;
        let stored = stored.unwrap_or_else(|error| {
            tracing::error!(error, "cannot read the keys of an issuer");
            None
        });
        if let Some(set) = stored.map(String::into_bytes)
            && let Ok(keys) = Jwks::parse(&self.issuer.url, &set)
        {
            let mut known = self.known.lock();
            if known.keys.is_none() {
                (known.keys, known.set) = (Some(Arc::new(keys)), set);
            }
        }
    }

    /// Fetches the keys unless that was tried within `pause`. Keys that are known stay if it fails.
    async fn fetch(&self, pause: Duration, store: &dyn TokenSource) {
        let _fetching = self.fetching.lock().await;
        let tried = self.known.lock().tried;
        if tried.is_some_and(|tried| tried.elapsed() < pause) {
            return;
        }
        let fetched = self.issuer.fetch_keys().await;
        let changed = self.take(fetched);
        if let Some(set) = changed
            && let Err(error) = store.keep_issuer_keys(&self.issuer.url, set).await
        {
            tracing::error!(error, "cannot store the keys of an issuer");
        }
    }

    /// Takes a set that was fetched; returns it if it is another one.
    fn take(&self, fetched: Result<Vec<u8>, String>) -> Option<String> {
        let mut known = self.known.lock();
        let (now, issuer) = (Instant::now(), &*self.issuer.url);
        known.tried = Some(now);
        let read = fetched.and_then(|set| {
            let is_same = known.keys.is_some() && known.set == set;
            let other = match is_same {
                // or else its warnings would be logged at every fetch, which clients cause
                true => None,
                false => Some((Jwks::parse(issuer, &set)?, set)),
            };
            Ok::<_, String>(other)
        });
        match read {
            Ok(other) => {
                if std::mem::take(&mut known.is_in_trouble) {
                    tracing::info!(issuer, "keys fetched again");
                }
                known.fetched = Some(now);
                let (keys, set) = other?;
                known.keys = Some(Arc::new(keys));
                known.set = set;
                Some(String::from_utf8_lossy(&known.set).into_owned())
            }
            Err(error) => {
                if !std::mem::replace(&mut known.is_in_trouble, true) {
                    let effect = match known.keys {
                        Some(_) => "the known ones stay in force",
                        None => "nobody can log in by its tokens",
                    };
                    tracing::warn!(
                        issuer,
                        error,
                        "cannot fetch the keys of an issuer: {effect}"
                    );
                }
                None
            }
        }
    }
}
