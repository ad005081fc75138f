//! Log warnings about clients that fail before their first request, and about proxies that are not trusted.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::HeaderMap;

use crate::client_key;
use crate::http::proxy::client::{Peer, names_another};
use crate::log_limit::LogLimiter;
use crate::tls::Failure;

/// Minimum interval between lines about the same client.
const HANDSHAKES_EVERY: Duration = Duration::from_secs(3600);
const UNTRUSTED_PEERS_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Maximum number of lines in that interval.
const HANDSHAKES: usize = 500;
const UNTRUSTED_PEERS: usize = 100;

/// Warnings about connections, limited per client.
pub(crate) struct ConnectionWarnings {
    handshakes: LogLimiter<(Option<IpAddr>, Failure)>,
    untrusted_peers: LogLimiter<Option<IpAddr>>,
}

impl Default for ConnectionWarnings {
    fn default() -> Self {
        Self {
            handshakes: LogLimiter::new("failed handshakes", HANDSHAKES_EVERY, HANDSHAKES),
            untrusted_peers: LogLimiter::new(
                "untrusted peers that name other clients",
                UNTRUSTED_PEERS_EVERY,
                UNTRUSTED_PEERS,
            ),
        }
    }
}

impl ConnectionWarnings {
    /// Logs a failed TLS handshake.
    pub fn handshake(&self, address: Option<IpAddr>, failure: Failure) {
        if self
            .handshakes
            .may_log((address.map(client_key::of), failure))
        {
            tracing::warn!(
                address = named(address),
                "a TLS handshake failed with a client: {failure}"
            );
        }
    }

    /// Logs that an untrusted peer names another client: it may be a proxy that is missing in the configuration.
    pub fn untrusted(&self, peer: Peer, headers: &HeaderMap) {
        if names_another(headers)
            && self
                .untrusted_peers
                .may_log(peer.address.map(client_key::of))
        {
            // 127.0.0.1 stands for Unix sockets as well
            let trust = named(Some(peer.address.unwrap_or(Ipv4Addr::LOCALHOST.into())));
            tracing::warn!(
                peer = named(peer.address),
                "ignored X-Forwarded-For, X-Real-IP or Forwarded of an untrusted peer: if it is your proxy, add {trust} to http.trustedproxies, or all its clients count as one; if not, the client made the header up, and nothing need be done"
            );
        }
    }
}

fn named(address: Option<IpAddr>) -> String {
    address.map_or_else(
        || "unix".to_owned(),
        |address| address.to_canonical().to_string(),
    )
}
