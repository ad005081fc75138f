//! Settings of TLS: distribution's `http.tls` section.

use std::path::PathBuf;

use super::acme;
use super::client_auth::ClientAuth;

/// Settings of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub source: Source,
    /// PEM files: authorities of client certificates. If empty, clients are asked for none.
    pub client_authorities: Vec<PathBuf>,
    pub client_auth: ClientAuth,
    pub minimum: MinimumVersion,
    /// Cipher suites by Go's names; empty for all that are supported.
    pub cipher_suites: Vec<String>,
    /// True if HTTP/2 is offered beside HTTP/1.1.
    pub is_http2_enabled: bool,
}

/// Source of the server's certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Files {
        /// PEM: the server's certificate, then the intermediate ones.
        certificate: PathBuf,
        /// PEM.
        key: PathBuf,
    },
    /// An authority that issues them by ACME.
    Acme(acme::Settings),
}

/// Oldest accepted version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinimumVersion {
    Tls12,
    Tls13,
}
