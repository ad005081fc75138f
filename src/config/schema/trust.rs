//! The section `trust`, which is ours.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// Issuer whose tokens are logins (OpenID Connect).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// Name of the logins in access rules: `trust:NAME`.
    pub name: String,
    /// URL of the issuer.
    pub issuer: String,
    /// Name of this registry in its tokens.
    pub audience: String,
    /// PEM file: the authority of its certificate.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// File with a token that the issuer asks for.
    #[serde(default)]
    pub bearer: Option<PathBuf>,
    /// Globs of each claim that a token must have.
    #[serde(default)]
    pub require: BTreeMap<String, Vec<String>>,
}
