//! What an owner may set about how clients reach the registry.

use std::sync::Arc;
use std::time::Duration;

use super::client::TrustedProxies;
use super::site::Site;
use crate::tls::Tls;

/// Everything that may be set. The default is HTTP/1.1 without encryption, with relative locations.
#[derive(Clone, Default)]
pub struct Settings {
    pub site: Site,
    pub proxies: TrustedProxies,
    pub limits: Limits,
    /// HTTP/2 by prior knowledge where there is no encryption. With encryption, what is spoken is agreed upon in the
    /// handshake ([`crate::tls::Settings::http2`]).
    pub h2c: bool,
    /// None: no encryption.
    pub tls: Option<Arc<Tls>>,
}

/// Bounds on what clients may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// Connections at once from one address that is no trusted proxy; more are closed.
    pub connections_per_address: usize,
    /// How long a client may take over a TLS handshake.
    pub handshake_timeout: Duration,
    /// How long a client may take over the head of a request, and keep a connection without one.
    pub header_timeout: Duration,
    /// How long the body of a request may bring nothing, and a client take nothing of an answer's.
    pub idle_timeout: Duration,
    /// How long requests in flight are waited for when the server stops.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 1024,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(120),
            drain_timeout: Duration::from_secs(30),
        }
    }
}
