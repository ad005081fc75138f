//! How clients reach the registry, and what they may take of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::schema::interval::Interval;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// `HOST:PORT`; without a host, all of this machine's addresses. The path of a socket where `net` is `unix`.
    pub addr: Option<String>,
    pub net: Net,
    /// The path below which everything is: `/registry/`.
    pub prefix: Option<String>,
    /// The URL by which clients know this server, in place of what they or their proxy say.
    pub host: Option<String>,
    /// `Location`s without scheme and host. Distribution makes absolute ones unless told so.
    pub relativeurls: Option<bool>,
    /// Added to every answer.
    pub headers: BTreeMap<String, Vec<String>>,
    /// How long requests in flight are waited for on the way out: `30s`, `1m30s`, `500ms`.
    pub draintimeout: Option<Interval>,
    pub tls: Tls,
    pub http2: Http2,
    pub h2c: H2c,
    pub debug: DebugServer,
    /// Ours: addresses (`10.0.0.1`) and networks (`10.0.0.0/8`) whose `Forwarded` and `X-Forwarded-*` headers are believed
    /// [default: this machine's own].
    pub trustedproxies: Option<Vec<String>>,
    pub limits: Limits,
}

/// The kind of socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Net {
    #[default]
    Tcp,
    Unix,
}

/// Encryption; where there is neither a certificate nor `letsencrypt`, there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM: the server's own, then those that lead to its authority.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// PEM: the authorities of clients' certificates.
    pub clientcas: Vec<PathBuf>,
    /// What is asked of clients where `clientcas` are given [default: require-and-verify-client-cert].
    pub clientauth: Option<ClientAuth>,
    /// [default: 1.2]
    pub minimumtls: Option<MinimumTls>,
    /// Go's names: `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`.
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

/// Certificates by ACME (RFC 8555), proven on this very port (RFC 8737).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LetsEncrypt {
    /// Where account and certificates are kept.
    pub cachefile: Option<PathBuf>,
    pub email: Option<String>,
    /// The names to be certified.
    pub hosts: Vec<String>,
    /// Of another authority than Let's Encrypt.
    pub directoryurl: Option<String>,
    /// Ours: PEM, the authority of the directory's own certificate, where the system does not know it.
    pub directoryca: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http2 {
    pub disabled: bool,
}

/// HTTP/2 without encryption, by prior knowledge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct H2c {
    pub enabled: bool,
}

/// A port of its own for those who look after the server, without encryption or login.
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

/// Ours: against slow and greedy clients. Each has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// At once; more wait to be accepted.
    pub connections: Option<usize>,
    /// At once from one address; more are closed.
    pub connectionsperaddress: Option<usize>,
    /// How long a client may take over a TLS handshake.
    pub handshake: Option<Interval>,
    /// How long a client may take over the head of a request, and keep a connection without one.
    pub header: Option<Interval>,
    /// How long a body may make no progress, in either direction.
    pub idle: Option<Interval>,
}
