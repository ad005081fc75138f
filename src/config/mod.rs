//! Configuration: distribution's `config.yml`, with our own sections beside its own.
//!
//! Flags override variables; variables override the file. Nothing is ignored silently: an unknown key is an error that
//! names its line, and [`keys`] tells of every other key whether it is supported, ignored with a note, or rejected.
//!
//! To add a key:
//! 1. add a row to `keys/supported.rs`: its kind, its default, whether a change needs a restart, and its meaning;
//! 2. add a field of the same name to `schema/`;
//! 3. pass it to the layer that uses it in `cli/from_config/`;
//! 4. run `UPDATE=1 cargo test --test integration table`, which writes the row into `docs/configuration.md`.
//!
//! Tests fail if a step is missing. On the way from text to settings, `source/` parses the file, `environment.rs` overrides
//! it with variables, `validate.rs` compares it with the table of keys, and `draft.rs` gathers what the layers reject.

mod draft;
mod environment;
mod error;
pub mod keys;
mod load;
mod loaded;
mod protection;

mod schema;
mod show;
mod source;
mod validate;
mod violations;

pub use draft::Draft;
pub use environment::FILE_VARIABLE;
pub use error::{Error, Problem};
pub use loaded::Loaded;
pub use schema::{
    AccessLog, AccessRule, AccessSection, Ahead, Audit, Auth, Backup, Catalog, Challenge, Class,
    ClientAuth, Config, ContentPolicy, DebugServer, Delete, EventsOptions, FileCheck, Filesystem,
    Formatter, Gc, H2c, HeaderSource, Health, Htpasswd, Http, Http2, HttpCheck, IgnoredEvents,
    Import, Indexes, Interval, KeepUntagged, LetsEncrypt, Level, Limits, Log, Maintenance,
    Manifests, MinimumTls, Mirror, Net, NotificationEndpoint, Notifications, Oidc, Platform,
    Platforms, Policy, Prometheus, Proxy, Quota, ReadOnly, RepositoryPolicy, SecretSource, Silly,
    Storage, StorageDriver, TagRule, Tags, TcpCheck, Tls, Token, TrustedIssuer, Ui, UploadPurging,
    Urls, ValidatedManifests, Validation, Verify, Webhook, WebhookEvent, WebhookFormat,
};
pub use source::Origin;
pub use violations::{CombineResults, Violations, collect, combine};

#[cfg(test)]
mod tests;
