//! The section `auth`.

use std::path::PathBuf;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::config::schema::interval::Interval;

/// Authentication: one of distribution's methods, and what applies to all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// No login, as without any method.
    #[serde(deserialize_with = "nothing")]
    pub none: Nothing,
    /// Any credentials; for tests.
    pub silly: Option<Silly>,
    pub htpasswd: Option<Htpasswd>,
    pub token: Option<Token>,
    /// Ours.
    pub challenge: Challenge,
}

/// Accepts an empty section in any spelling; its content is validated before.
fn nothing<'de, D: Deserializer<'de>>(section: D) -> Result<Nothing, D::Error> {
    IgnoredAny::deserialize(section).map(|_| Nothing {})
}

impl Auth {
    /// Reports whether it asks for a login.
    pub fn asks(&self) -> bool {
        self.silly.is_some() || self.htpasswd.is_some() || self.token.is_some()
    }
}

/// Kind of challenge that asks for a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Challenge {
    #[default]
    Auto,
    Basic,
    Bearer,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nothing {}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silly {
    pub realm: String,
    pub service: String,
}

/// A file of users and bcrypt hashes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Htpasswd {
    pub realm: String,
    pub path: PathBuf,
    /// Maximum time for which a correct password is remembered [default: 5m]. Ours.
    #[serde(default)]
    pub cache: Option<Interval>,
}

/// Tokens of an external server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// URL of the token server.
    pub realm: String,
    pub service: String,
    pub issuer: String,
    /// PEM: certificates whose keys, or whose subjects' keys, sign tokens.
    #[serde(default)]
    pub rootcertbundle: Option<PathBuf>,
    /// JSON Web Key Set (RFC 7517).
    #[serde(default)]
    pub jwks: Option<PathBuf>,
    /// Accepted algorithms [default: all asymmetric ones].
    #[serde(default)]
    pub signingalgorithms: Vec<String>,
    /// Put the host name of the client's request into the realm.
    #[serde(default)]
    pub autoredirect: bool,
    /// [default: /auth/token]
    #[serde(default)]
    pub autoredirectpath: Option<String>,
}
