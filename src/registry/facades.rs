//! The facades of the registry, one for each subject.
//!
//! A facade borrows the registry and costs nothing; its operations are defined in the module of
//! their subject, beside what they need.

use crate::registry::service::Registry;

/// Manifests: pull, push, delete, describe, and the referrers of a subject.
#[derive(Clone, Copy)]
pub struct Manifests<'r> {
    pub(super) registry: &'r Registry,
}

/// Blobs: pull, push in one request, mount, delete.
#[derive(Clone, Copy)]
pub struct Blobs<'r> {
    pub(super) registry: &'r Registry,
}

/// Upload sessions: their requests, their expiry, and recovery after a crash.
#[derive(Clone, Copy)]
pub struct Uploads<'r> {
    pub(super) registry: &'r Registry,
}

/// Tags: lists, history, removal, and restoring former targets.
#[derive(Clone, Copy)]
pub struct Tags<'r> {
    pub(super) registry: &'r Registry,
}

/// Repositories: the catalogue, search, and deletion as a whole.
#[derive(Clone, Copy)]
pub struct Repositories<'r> {
    pub(super) registry: &'r Registry,
}

/// Deleted manifests and removed tags that can still be restored.
#[derive(Clone, Copy)]
pub struct Trash<'r> {
    pub(super) registry: &'r Registry,
}

/// Content taken over from another registry.
#[derive(Clone, Copy)]
pub struct Import<'r> {
    pub(super) registry: &'r Registry,
}

/// Content that is handed on to another registry or tool.
#[derive(Clone, Copy)]
pub struct Export<'r> {
    pub(super) registry: &'r Registry,
}

/// Events for endpoints outside, and their deliveries.
#[derive(Clone, Copy)]
pub struct Outbox<'r> {
    pub(super) registry: &'r Registry,
}

/// Garbage collection.
#[derive(Clone, Copy)]
pub struct Gc<'r> {
    pub(super) registry: &'r Registry,
}

/// Read-only reports: disk usage, forecasts, previews, and why something is kept.
#[derive(Clone, Copy)]
pub struct Reports<'r> {
    pub(super) registry: &'r Registry,
}

/// Verification of everything that is stored.
#[derive(Clone, Copy)]
pub struct Verify<'r> {
    pub(super) registry: &'r Registry,
}

/// The registry as the source of a backup.
#[derive(Clone, Copy)]
pub struct Backups<'r> {
    pub(super) registry: &'r Registry,
}

/// Tokens of machines.
#[derive(Clone, Copy)]
pub struct Tokens<'r> {
    pub(super) registry: &'r Registry,
}

/// Logins to the page.
#[derive(Clone, Copy)]
pub struct Sessions<'r> {
    pub(super) registry: &'r Registry,
}

/// The audit log.
#[derive(Clone, Copy)]
pub struct Audit<'r> {
    pub(super) registry: &'r Registry,
}

/// Limits of the bytes that repositories hold together.
#[derive(Clone, Copy)]
pub struct Quotas<'r> {
    pub(super) registry: &'r Registry,
}

/// Upstreams of which content is cached.
#[derive(Clone, Copy)]
pub struct Upstreams<'r> {
    pub(super) registry: &'r Registry,
}

/// Counters and checks for monitoring.
#[derive(Clone, Copy)]
pub struct Status<'r> {
    pub(super) registry: &'r Registry,
}

impl Registry {
    /// Operations on upstreams.
    pub fn upstreams(&self) -> Upstreams<'_> {
        Upstreams { registry: self }
    }

    /// Operations on manifests.
    pub fn manifests(&self) -> Manifests<'_> {
        Manifests { registry: self }
    }

    /// Operations on blobs.
    pub fn blobs(&self) -> Blobs<'_> {
        Blobs { registry: self }
    }

    /// Operations on upload sessions.
    pub fn uploads(&self) -> Uploads<'_> {
        Uploads { registry: self }
    }

    /// Operations on tags.
    pub fn tags(&self) -> Tags<'_> {
        Tags { registry: self }
    }

    /// Operations on repositories.
    pub fn repositories(&self) -> Repositories<'_> {
        Repositories { registry: self }
    }

    /// Operations on the trash.
    pub fn trash(&self) -> Trash<'_> {
        Trash { registry: self }
    }

    /// Content taken over from another registry.
    pub fn import(&self) -> Import<'_> {
        Import { registry: self }
    }

    /// Content that is handed on to another registry or tool.
    pub fn export(&self) -> Export<'_> {
        Export { registry: self }
    }

    /// Garbage collection.
    pub fn gc(&self) -> Gc<'_> {
        Gc { registry: self }
    }

    /// Read-only reports.
    pub fn reports(&self) -> Reports<'_> {
        Reports { registry: self }
    }

    /// Verification of everything that is stored.
    pub fn verify(&self) -> Verify<'_> {
        Verify { registry: self }
    }

    /// The registry as the source of a backup.
    pub fn backups(&self) -> Backups<'_> {
        Backups { registry: self }
    }

    /// Tokens of machines.
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens { registry: self }
    }

    /// Logins to the page.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions { registry: self }
    }

    /// The audit log.
    pub fn audit(&self) -> Audit<'_> {
        Audit { registry: self }
    }

    /// Events for endpoints outside, and their deliveries.
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox { registry: self }
    }

    /// Limits of the bytes that repositories hold together.
    pub fn quotas(&self) -> Quotas<'_> {
        Quotas { registry: self }
    }

    /// Counters and checks for monitoring.
    pub fn status(&self) -> Status<'_> {
        Status { registry: self }
    }
}
