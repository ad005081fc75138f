//! Settings of method `token`.

use std::path::PathBuf;

/// Token server whose tokens are accepted, and the keys that verify them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// URL of the token server.
    pub realm: String,
    /// Required audience (`aud`) of a token.
    pub service: String,
    /// Required issuer (`iss`) of a token.
    pub issuer: String,
    /// PEM file: certificates whose keys sign tokens, or sign the certificates of keys that do.
    pub root_certificates: Option<PathBuf>,
    /// JSON Web Key Set (RFC 7517).
    pub jwks: Option<PathBuf>,
    /// Accepted algorithms; empty for all that are supported.
    pub algorithms: Vec<String>,
    /// Path of a token server on this site.
    ///
    /// The realm is then this path on the host that the client uses.
    pub redirect_path: Option<String>,
}
