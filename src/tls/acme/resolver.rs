//! Which certificate a client is shown: its host's, or to an authority that looks, the proof.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::tls::certificate::{Certificate, Pair};

/// The certificates there are, by host.
#[derive(Default)]
pub(super) struct Hosts {
    pairs: RwLock<HashMap<String, Pair>>,
    /// Shown to clients that name no host.
    first: String,
}

impl Hosts {
    pub fn new(first: &str) -> Self {
        Self {
            first: first.to_owned(),
            pairs: RwLock::default(),
        }
    }

    pub fn put(&self, host: &str, pair: Pair) {
        self.pairs
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(host.to_owned(), pair);
    }

    pub fn certificate(&self, host: &str) -> Option<Certificate> {
        self.pairs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(host)
            .map(|pair| pair.certificate.clone())
    }
}

impl std::fmt::Debug for Hosts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Hosts")
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Hosts {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        pairs
            .get(name.as_deref().unwrap_or(&self.first))
            .map(|pair| Arc::clone(&pair.certified))
    }
}

/// The proofs that authorities may look at just now, by host.
#[derive(Debug, Default)]
pub(super) struct Challenges(Mutex<HashMap<String, Arc<CertifiedKey>>>);

impl Challenges {
    fn proofs(&self) -> MutexGuard<'_, HashMap<String, Arc<CertifiedKey>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn answer(&self, host: &str, proof: CertifiedKey) {
        self.proofs().insert(host.to_owned(), Arc::new(proof));
    }

    pub fn forget(&self, host: &str) {
        self.proofs().remove(host);
    }
}

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.proofs().get(&name).cloned()
    }
}
