//! The section `storage`.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::schema::interval::Interval;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    pub filesystem: Filesystem,
    pub delete: Delete,
    pub maintenance: Maintenance,
    /// Minimum free disk, in bytes; below it pushes get 507. Ours.
    pub reserve: Option<u64>,
    /// Take over the store of `registry:2` in the same directory. Ours.
    pub import: Import,
    /// Allow an empty registry beside the store of `registry:2` in the same directory. Ours.
    pub startempty: bool,
}

/// Taking over the store of `registry:2` in the data directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Import {
    /// At the first start.
    #[default]
    Auto,
    /// Never: the server does not start beside it.
    Off,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filesystem {
    pub rootdirectory: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delete {
    pub enabled: bool,
}

impl Default for Delete {
    fn default() -> Self {
        Self { enabled: true }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Maintenance {
    pub uploadpurging: UploadPurging,
    pub readonly: ReadOnly,
}

/// Expiry of abandoned uploads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UploadPurging {
    /// [default: true]
    pub enabled: Option<bool>,
    /// Age at which an upload expires [default: 168h].
    pub age: Option<Interval>,
    /// Interval between checks [default: 1h].
    pub interval: Option<Interval>,
    /// Only log what would expire.
    pub dryrun: bool,
}

/// Read-only mode, which rejects all changes by clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadOnly {
    pub enabled: bool,
}
