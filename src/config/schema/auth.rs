//! Who may use the registry.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::schema::interval::Interval;

/// One of distribution's ways to log in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Nobody is asked.
    None(Nothing),
    /// Whoever shows any credentials at all.
    Silly(Silly),
    Htpasswd(Htpasswd),
    Token(Token),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nothing {}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silly {
    pub realm: String,
    pub service: String,
}

/// Users and bcrypt hashes of their passwords, a line each.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Htpasswd {
    pub realm: String,
    pub path: PathBuf,
    /// Ours: how long a password that was right is not hashed again, at most [default: 5m].
    #[serde(default)]
    pub cache: Option<Interval>,
}

/// Tokens of an external server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The URL at which clients get tokens.
    pub realm: String,
    pub service: String,
    pub issuer: String,
    /// PEM: certificates whose keys, or whose subjects' keys, sign tokens.
    #[serde(default)]
    pub rootcertbundle: Option<PathBuf>,
    /// JSON Web Key Set (RFC 7517).
    #[serde(default)]
    pub jwks: Option<PathBuf>,
    /// Those accepted [default: all that use keys of their own].
    #[serde(default)]
    pub signingalgorithms: Vec<String>,
    /// Name the token server's URL by the name that the client uses for this one.
    #[serde(default)]
    pub autoredirect: bool,
    /// [default: /auth/token]
    #[serde(default)]
    pub autoredirectpath: Option<String>,
}
