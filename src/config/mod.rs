//! Configuration: distribution's `config.yml`, with our own sections beside its own.
//!
//! Flags override variables; variables override the file. Nothing is ignored silently: an unknown key is an error that
//! names its line, and [`keys`] tells of every other key whether it is supported, ignored with a note, or rejected.
//!
//! To add a key: a row in `keys/supported.rs`, and a field of the same name in `schema/`. The command line's
//! `from_config/` passes it on to the layer that uses it.

mod draft;
mod environment;
mod error;
pub mod keys;
mod load;
mod loaded;
mod reload;
mod schema;
mod show;
mod source;
mod validate;
mod violations;

pub use draft::Draft;
pub use environment::FILE_VARIABLE;
pub use error::{Error, Problem};
pub use loaded::Loaded;
pub use reload::is_reloadable;
pub use schema::{
    AccessLog, Auth, Catalog, Class, ClientAuth, Config, ContentPolicy, DebugServer, Delete,
    FileCheck, Filesystem, Formatter, Gc, H2c, Health, Htpasswd, Http, Http2, HttpCheck, Indexes,
    Interval, LetsEncrypt, Level, Limits, Log, Maintenance, Manifests, MinimumTls, Net, Platform,
    Platforms, Policy, Prometheus, ReadOnly, RepositoryPolicy, Silly, Storage, StorageDriver,
    TagRule, Tags, TcpCheck, Tls, Token, Untagged, UploadPurging, Urls, ValidatedManifests,
    Validation,
};
pub use source::Origin;
pub use violations::{Violations, Zip, collect, zip};

#[cfg(test)]
mod tests;
