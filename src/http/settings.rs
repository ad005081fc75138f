//! What an owner may set about how clients reach the registry.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::http::proxy::base_url::Site;
use crate::http::proxy::client::TrustedProxies;
use crate::tls::Tls;

/// Everything that may be set. The default is HTTP/1.1 without encryption, with relative locations.
#[derive(Clone, Default)]
pub struct ServerSettings {
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

/// The settings of a server, which may change while it runs.
#[derive(Clone)]
pub struct LiveSettings(Arc<ArcSwap<ServerSettings>>);

impl LiveSettings {
    pub(crate) fn new(settings: ServerSettings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(settings)))
    }

    /// Replaces all settings. Limits, and what is spoken, are those of the connections from now on; the rest of the
    /// requests. The number of connections stays as it was at the start.
    pub fn replace(&self, settings: ServerSettings) {
        self.0.store(Arc::new(settings));
    }

    /// The settings in force.
    #[must_use]
    pub fn get(&self) -> Arc<ServerSettings> {
        self.0.load_full()
    }

    pub(crate) fn look(&self) -> arc_swap::Guard<Arc<ServerSettings>> {
        self.0.load()
    }
}
