//! Where content is kept, and what may be done with it.

use std::path::PathBuf;

use serde::Deserialize;

use super::Interval;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    pub filesystem: Filesystem,
    pub delete: Delete,
    pub redirect: Redirect,
    pub cache: Cache,
    pub tag: Tag,
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
    /// Accepted, and of no effect.
    pub maxthreads: Option<u64>,
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

/// Accepted, and of no effect: files are never elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redirect {
    pub disable: bool,
}

/// Accepted, and of no effect: descriptors are rows of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    pub blobdescriptor: Option<String>,
    pub layerinfo: Option<String>,
    pub blobdescriptorsize: Option<u64>,
}

/// Accepted, and of no effect: tags of a manifest are found by an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tag {
    pub concurrencylimit: Option<u64>,
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
