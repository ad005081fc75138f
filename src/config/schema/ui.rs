//! The section `ui`: the page for people.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::schema::interval::Interval;

/// The page at `/ui/`. Ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ui {
    /// Serve it [default: true].
    pub enabled: Option<bool>,
    /// Let the page change something without a login, from anywhere, where there are no logins [default: false].
    pub anonymouschanges: bool,
    /// Time without use after which a login ends [default: 12h].
    pub idle: Option<Interval>,
    /// Time after which a login ends in any case [default: 168h].
    pub lifetime: Option<Interval>,
    /// Issuer at which people log in.
    pub oidc: Option<Oidc>,
}

/// Issuer at which people log in to the page (OpenID Connect).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// URL of the issuer.
    pub issuer: String,
    /// Name of this registry there.
    pub clientid: String,
    /// File with its secret there.
    #[serde(default)]
    pub secretfile: Option<PathBuf>,
    /// Name on the button [default: host of the issuer].
    #[serde(default)]
    pub name: Option<String>,
    /// PEM file: the authority of its certificate.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Scopes that are asked for [default: openid, profile, email].
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Claim that names the login [default: preferred_username].
    #[serde(default)]
    pub user: Option<String>,
    /// Claim with the groups [default: groups].
    #[serde(default)]
    pub groups: Option<String>,
    /// Globs of each claim that a login must have.
    #[serde(default)]
    pub require: BTreeMap<String, Vec<String>>,
}
