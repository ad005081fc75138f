//! Where content is kept, and what may be done with it.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::schema::interval::Interval;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    pub filesystem: Filesystem,
    pub delete: Delete,
    pub maintenance: Maintenance,
    /// Bytes of free disk that uploads leave alone. Ours.
    pub reserve: Option<u64>,
    /// Start with nothing in it, although the directory holds the store of distribution (`registry:2`). Ours.
    pub startempty: bool,
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

/// What becomes of uploads that nobody goes on with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UploadPurging {
    /// [default: true]
    pub enabled: Option<bool>,
    /// How long a session stays [default: 168h].
    pub age: Option<Interval>,
    /// How long to rest between two looks [default: 24h].
    pub interval: Option<Interval>,
    /// Only say in the log what would go.
    pub dryrun: bool,
}

/// Whether clients can only read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadOnly {
    pub enabled: bool,
}
