//! The typed configuration, a file for each section. Each `Option` that is `None` means the default of the layer that uses it.

mod access;
mod audit;
mod auth;
mod backup;
mod gc;
mod health;
mod http;
mod interval;
mod log;
mod proxy;
mod quota;
mod root;
mod storage;
mod trust;
mod ui;
mod upstreams;
mod validation;
mod verify;
mod webhooks;

pub use access::{AccessRule, AccessSection};
pub use audit::Audit;
pub use auth::{Auth, Challenge, Htpasswd, Silly, Token};
pub use backup::Backup;
pub use gc::{Gc, KeepUntagged, Policy, TagRule};
pub use health::{FileCheck, Health, HttpCheck, StorageDriver, TcpCheck};
pub use http::{
    ClientAuth, DebugServer, H2c, Http, Http2, LetsEncrypt, Limits, MinimumTls, Net, Prometheus,
    Tls,
};
pub use interval::Interval;
pub use log::{AccessLog, Formatter, Level, Log};
pub use proxy::Proxy;
pub use quota::Quota;
pub use root::{Config, Manifests};
pub use storage::{Delete, Filesystem, Import, Maintenance, ReadOnly, Storage, UploadPurging};
pub use trust::TrustedIssuer;
pub use ui::{Oidc, Ui};
pub use upstreams::{Ahead, Mirror};
pub use validation::{
    Catalog, Class, ContentPolicy, Indexes, Platform, Platforms, RepositoryPolicy, Tags, Urls,
    ValidatedManifests, Validation,
};
pub use verify::Verify;
pub use webhooks::{
    EventsOptions, HeaderSource, IgnoredEvents, NotificationEndpoint, Notifications, SecretSource,
    Webhook, WebhookEvent, WebhookFormat,
};
