//! The whole configuration.

use serde::Deserialize;

use crate::config::schema::access::AccessSection;
use crate::config::schema::audit::Audit;
use crate::config::schema::auth::Auth;
use crate::config::schema::backup::Backup;
use crate::config::schema::gc::{Gc, Policy};
use crate::config::schema::health::Health;
use crate::config::schema::http::Http;
use crate::config::schema::log::{Level, Log};
use crate::config::schema::proxy::Proxy;
use crate::config::schema::quota::Quota;
use crate::config::schema::storage::Storage;
use crate::config::schema::trust::TrustedIssuer;
use crate::config::schema::ui::Ui;
use crate::config::schema::upstreams::Mirror;
use crate::config::schema::validation::{Catalog, ContentPolicy, Tags, Validation};
use crate::config::schema::verify::Verify;
use crate::config::schema::webhooks::{Notifications, Webhook};

/// The configuration; its `Default` is the one used without a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Version of the file format, always 0.1.
    pub version: Option<String>,
    pub log: Log,
    /// Older name of `log.level`.
    pub loglevel: Option<Level>,
    pub http: Http,
    pub storage: Storage,
    pub auth: Auth,
    /// Rules about who may do what; without it everybody who is admitted may do everything. Ours.
    pub access: Option<AccessSection>,
    /// Issuers whose tokens are logins. Ours.
    pub trust: Vec<TrustedIssuer>,
    /// Other registries, whose content appears below a prefix. Ours.
    pub upstreams: Vec<Mirror>,
    pub proxy: Proxy,
    pub health: Health,
    pub notifications: Notifications,
    pub validation: Validation,
    pub policy: ContentPolicy,
    pub catalog: Catalog,
    pub tags: Tags,
    pub manifests: Manifests,
    pub gc: Gc,
    /// Ours.
    pub backup: Backup,
    pub verify: Verify,
    pub audit: Audit,
    /// Endpoints of events. Ours.
    pub webhooks: Vec<Webhook>,
    /// Limits of the bytes that repositories hold together; the first that matches applies. Ours.
    pub quotas: Vec<Quota>,
    /// Retention rules; the first that matches a repository applies. Ours.
    pub policies: Vec<Policy>,
    pub ui: Ui,
}

/// Acceptance of manifests. Ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifests {
    /// Accept manifests whose references are not stored, as mirrors need.
    pub sparse: bool,
    /// Maximum size of a manifest, in bytes.
    pub limit: Option<usize>,
}

impl Config {
    /// Minimum severity of logged messages.
    pub fn level(&self) -> Level {
        self.log.level.or(self.loglevel).unwrap_or_default()
    }
}
