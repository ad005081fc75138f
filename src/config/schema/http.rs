//! The section `http`: listening, TLS, proxies and limits.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::schema::interval::Interval;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// `HOST:PORT`, `:PORT` for all addresses, or a socket's path if `net` is `unix`.
    pub addr: Option<String>,
    pub net: Net,
    /// Path prefix of all URLs: `/registry/`.
    pub prefix: Option<String>,
    /// Public URL of the registry, in place of what the request or a proxy says.
    pub host: Option<String>,
    /// Send `Location` without scheme and host; distribution's default is false.
    pub relativeurls: Option<bool>,
    /// Headers added to every response.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Maximum wait for requests in flight when the server stops.
    pub draintimeout: Option<Interval>,
    pub tls: Tls,
    pub http2: Http2,
    pub h2c: H2c,
    pub debug: DebugServer,
    /// Proxies, as addresses (`10.0.0.1`) and networks (`10.0.0.0/8`), whose `Forwarded` and `X-Forwarded-*` headers are
    /// trusted [default: none]. Ours.
    pub trustedproxies: Option<Vec<String>>,
    pub limits: Limits,
}

/// Socket type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Net {
    #[default]
    Tcp,
    Unix,
}

/// TLS, which needs either a certificate or `letsencrypt`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file: the server's certificate, followed by its chain.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// PEM files: authorities that sign client certificates.
    pub clientcas: Vec<PathBuf>,
    /// Requirement for client certificates, if `clientcas` is set [default: require-and-verify-client-cert].
    pub clientauth: Option<ClientAuth>,
    /// [default: 1.2]
    pub minimumtls: Option<MinimumTls>,
    /// Allowed cipher suites, by Go's names: `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`.
    pub ciphersuites: Vec<String>,
    pub letsencrypt: LetsEncrypt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    RequestClientCert,
    RequireAnyClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum MinimumTls {
    #[serde(rename = "tls1.2")]
    Tls12,
    #[serde(rename = "tls1.3")]
    Tls13,
}

/// Certificates by ACME (RFC 8555), with the TLS-ALPN challenge (RFC 8737).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LetsEncrypt {
    /// Directory for the account and certificates.
    pub cachefile: Option<PathBuf>,
    pub email: Option<String>,
    /// Host names to certify.
    pub hosts: Vec<String>,
    /// ACME directory of another authority than Let's Encrypt.
    pub directoryurl: Option<String>,
    /// PEM file: authority of the ACME server's own certificate, if the system does not trust it. Ours.
    pub directoryca: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http2 {
    pub disabled: bool,
}

/// HTTP/2 without TLS, by prior knowledge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct H2c {
    pub enabled: bool,
}

/// The debug port, which serves health and metrics without TLS or login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DebugServer {
    pub addr: Option<String>,
    pub prometheus: Prometheus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    pub enabled: bool,
    /// [default: /metrics]
    pub path: Option<String>,
}

/// Limits against slow and greedy clients. Ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Maximum number of connections; further ones wait to be accepted.
    pub connections: Option<usize>,
    /// Maximum number of connections from one address; further ones are closed.
    pub connectionsperaddress: Option<usize>,
    /// Timeout of a TLS handshake.
    pub handshake: Option<Interval>,
    /// Timeout for the headers of a request.
    pub header: Option<Interval>,
    /// Timeout for a connection without a request.
    pub keepalive: Option<Interval>,
    /// Timeout for a body without progress, in either direction.
    pub idle: Option<Interval>,
    /// Maximum number of images that a user or address pulls in a period.
    pub pulls: Option<u32>,
    /// Maximum number of images that a user or address pushes in a period.
    pub pushes: Option<u32>,
    pub period: Option<Interval>,
}
