//! The settings of a registry.

use std::time::Duration;

use crate::meta::Millis;
use crate::registry::content::page::PageLimits;
use crate::registry::content::validation::ManifestRules;
use crate::registry::policy::retention::{Retention, millis};

/// What an owner may set about the registry's rules.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// Accept manifests that name what is not stored, as mirrors need.
    pub sparse: bool,
    /// The largest manifest, in bytes.
    pub manifest_limit: usize,
    /// Bytes of free disk below which nothing more is accepted; pulls and deletes go on.
    pub reserve: u64,
    /// Whether clients may delete.
    pub delete: bool,
    /// Whether clients may only read. What the server does by itself, and what its owner does at the command line, goes on.
    pub read_only: bool,
    /// What becomes of uploads that nobody goes on with.
    pub upload_expiry: UploadExpiry,
    /// The longest pages of lists.
    pub pages: PageLimits,
    /// What is accepted of what clients push.
    pub manifest_rules: ManifestRules,
    /// What is kept, and for how long.
    pub retention: Retention,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            sparse: false,
            manifest_limit: 4 << 20,
            reserve: 256 << 20,
            delete: true,
            read_only: false,
            upload_expiry: UploadExpiry::default(),
            pages: PageLimits::default(),
            manifest_rules: ManifestRules::default(),
            retention: Retention::default(),
        }
    }
}

/// What becomes of upload sessions that nobody goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadExpiry {
    /// Without it they stay until they are finished or cancelled.
    pub enabled: bool,
    /// How long after its beginning a session is over.
    pub age: Duration,
    /// How long the server rests between two looks.
    pub interval: Duration,
    /// Only say in the log what would go.
    pub dry_run: bool,
}

impl Default for UploadExpiry {
    fn default() -> Self {
        Self {
            enabled: true,
            age: Duration::from_secs(7 * 24 * 3600),
            interval: Duration::from_secs(3600),
            dry_run: false,
        }
    }
}

impl UploadExpiry {
    /// How long after its beginning a session is over, in milliseconds; none where it never is.
    pub(in crate::registry) fn lifetime(&self) -> Option<Millis> {
        self.enabled.then(|| millis(self.age))
    }
}
