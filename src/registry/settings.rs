//! The settings of a registry.

use std::time::Duration;

use crate::meta::{Millis, millis};
use crate::registry::access::session_times::SessionTimes;
use crate::registry::backup::settings::BackupSettings;
use crate::registry::content::page::PageLimits;
use crate::registry::content::push::validation::ManifestRules;
use crate::registry::policy::keep_untagged::KeepUntagged;
use crate::registry::policy::quota::QuotaRules;
use crate::registry::policy::retention::Retention;
use crate::registry::verify::pace::VerifySchedule;

/// Settings of a registry.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// Accept manifests that reference missing content, as mirrors need.
    pub sparse: bool,
    /// Maximum size of a manifest, in bytes.
    pub manifest_limit: usize,
    /// Minimum free disk, in bytes; below it pushes are rejected, while pulls and deletes go on.
    pub reserve: u64,
    /// Allow clients to delete.
    pub delete: bool,
    /// Reject clients' changes.
    ///
    /// Background work and the command line are not affected.
    pub read_only: bool,
    /// Expiry of abandoned uploads.
    pub upload_expiry: UploadExpiry,
    /// Maximum page lengths of lists.
    pub pages: PageLimits,
    /// Rules for pushed manifests.
    pub manifest_rules: ManifestRules,
    /// Retention of content.
    pub retention: Retention,
    /// Limits of the bytes that repositories hold together.
    pub quotas: QuotaRules,
    /// Backups that the server makes; `None` if it makes none.
    pub backup: Option<BackupSettings>,
    /// Time for which rows of the audit log are kept.
    pub audit_keep: KeepUntagged,
    /// The server's own verification.
    pub verify: VerifySchedule,
    /// Ends of logins to the page.
    pub sessions: SessionTimes,
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
            quotas: QuotaRules::default(),
            backup: None,
            audit_keep: KeepUntagged::For(Duration::from_secs(365 * 24 * 3600)),
            verify: VerifySchedule::default(),
            sessions: SessionTimes::default(),
        }
    }
}

/// Expiry of abandoned upload sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadExpiry {
    /// End expired sessions; otherwise they stay until they are finished or cancelled.
    pub enabled: bool,
    /// Age at which a session expires.
    pub age: Duration,
    /// Interval between two checks.
    pub interval: Duration,
    /// Only log the sessions that would be ended.
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
    /// Lifetime of a session, in milliseconds; `None` if it never expires.
    pub(in crate::registry) fn lifetime(&self) -> Option<Millis> {
        self.enabled.then(|| millis(self.age))
    }
}
