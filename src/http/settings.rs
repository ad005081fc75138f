//! Settings of the HTTP server.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::http::proxy::base_url::ExternalUrl;
use crate::http::proxy::client::TrustedProxies;
use crate::http::response::extra_headers::ExtraHeaders;
use crate::registry::RuleReader;
use crate::tls::Tls;

/// Settings of the HTTP server. The default is HTTP/1.1 without encryption, with relative locations.
#[derive(Clone, Default)]
pub struct ServerSettings {
    pub external_url: ExternalUrl,
    /// Headers of every response.
    pub headers: ExtraHeaders,
    pub proxies: TrustedProxies,
    pub limits: Limits,
    /// Accept HTTP/2 by prior knowledge on unencrypted connections. Encrypted ones negotiate in the handshake
    /// ([`crate::tls::Settings::is_http2_enabled`]).
    pub h2c: bool,
    /// `None` for no encryption.
    pub tls: Option<Arc<Tls>>,
    pub page: PageSwitch,
    pub anonymous_changes: AnonymousChanges,
    pub rule_reader: RuleReader,
}

/// Switch of the page at `/ui/`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageSwitch {
    #[default]
    On,
    Off,
}

/// Places from which the page changes something where nobody ever logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnonymousChanges {
    /// The machine of the server.
    #[default]
    Here,
    Everywhere,
}

/// Limits on clients.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum number of connections; more wait to be accepted.
    pub connections: usize,
    /// Maximum number of connections from one address, trusted proxies excepted; more are closed.
    pub connections_per_address: usize,
    /// Maximum time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Maximum time for the head of a request.
    pub header_timeout: Duration,
    /// Maximum time until the next request on a connection. Longer than the minute for which load balancers commonly
    /// keep connections: the end that closes first must be theirs, or a request meets a connection that has ended.
    pub keep_alive_timeout: Duration,
    /// Maximum time without progress, of a request body that arrives or of a response that is sent.
    pub idle_timeout: Duration,
    /// Time that requests in flight have when the server stops.
    pub drain_timeout: Duration,
    pub rates: Rates,
}

/// Maximum numbers of images that a client pulls and pushes in a period; `None` for any number.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    pub pulls: Option<NonZeroU32>,
    pub pushes: Option<NonZeroU32>,
    pub period: Duration,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            pulls: None,
            pushes: None,
            period: Duration::from_secs(3600),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 1024,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(60),
            keep_alive_timeout: Duration::from_secs(90),
            idle_timeout: Duration::from_secs(120),
            drain_timeout: Duration::from_secs(30),
            rates: Rates::default(),
        }
    }
}

/// Settings of a running server; clones share them.
#[derive(Clone)]
pub struct LiveSettings(Arc<ArcSwap<ServerSettings>>);

impl LiveSettings {
    pub(crate) fn new(settings: ServerSettings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(settings)))
    }

    /// Replaces all settings. Limits and protocols apply to new connections, the rest to new requests. The total number
    /// of connections stays as it was at the start.
    pub fn replace(&self, settings: ServerSettings) {
        self.0.store(Arc::new(settings));
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn get(&self) -> Arc<ServerSettings> {
        self.0.load_full()
    }

    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<ServerSettings>> {
        self.0.load()
    }
}
