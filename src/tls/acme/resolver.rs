//! Choice of the certificate for a handshake: the host's, or the proof for an authority.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::tls::certificate::{Certificate, Pair};

/// Certificates by host.
#[derive(Default)]
pub(super) struct Hosts {
    pairs: RwLock<HashMap<String, Pair>>,
    /// Host whose certificate clients get that name none.
    first: String,
}

impl Hosts {
    pub(super) fn new(first: &str) -> Self {
        Self {
            first: first.to_owned(),
            pairs: RwLock::default(),
        }
    }

    pub(super) fn put(&self, host: &str, pair: Pair) {
        self.pairs.write().insert(host.to_owned(), pair);
    }

    pub(super) fn certificate(&self, host: &str) -> Option<Certificate> {
        self.pairs
            .read()
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
        let pairs = self.pairs.read();
        pairs
            .get(name.as_deref().unwrap_or(&self.first))
            .map(|pair| Arc::clone(&pair.certified))
    }
}

/// Proofs of pending orders, by host.
#[derive(Debug, Default)]
pub(super) struct Challenges(Mutex<HashMap<String, Arc<CertifiedKey>>>);

impl Challenges {
    pub(super) fn answer(&self, host: &str, proof: CertifiedKey) {
        self.0.lock().insert(host.to_owned(), Arc::new(proof));
    }

    pub(super) fn forget(&self, host: &str) {
        self.0.lock().remove(host);
    }
}

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.0.lock().get(&name).cloned()
    }
}
