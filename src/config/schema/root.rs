//! The whole configuration.

use serde::Deserialize;

use crate::config::schema::auth::Auth;
use crate::config::schema::gc::{Gc, Policy};
use crate::config::schema::health::Health;
use crate::config::schema::http::Http;
use crate::config::schema::log::{Level, Log};
use crate::config::schema::storage::Storage;
use crate::config::schema::validation::{Catalog, ContentPolicy, Tags, Validation};

/// Everything that can be set; every default is the one used without a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Of the shape of this file: 0.1 is the only one there is.
    pub version: Option<String>,
    pub log: Log,
    /// The older place of `log.level`.
    pub loglevel: Option<Level>,
    pub http: Http,
    pub storage: Storage,
    pub auth: Option<Auth>,
    pub health: Health,
    pub validation: Validation,
    pub policy: ContentPolicy,
    pub catalog: Catalog,
    pub tags: Tags,
    pub manifests: Manifests,
    pub gc: Gc,
    /// Rules of some repositories; of several that match one, the first counts.
    pub policies: Vec<Policy>,
}

/// Ours: what manifests are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifests {
    /// Accept manifests that name content which is not stored, as mirrors need.
    pub sparse: bool,
    /// The largest manifest, in bytes.
    pub limit: Option<usize>,
}

impl Config {
    /// The least severe messages that are logged.
    pub fn level(&self) -> Level {
        self.log.level.or(self.loglevel).unwrap_or_default()
    }
}
