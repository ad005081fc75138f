//! The registry: one data directory, opened, and the state that its operations share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::blob::{BlobStore, DirectoryLock, Hasher, KeptOpen, UploadId};
use crate::meta::{self, Actor, Meta, Reader, WriteTx};
use crate::registry::content::manifest_budget::ManifestBudget;
use crate::registry::content::pull_counts::PullCounts;
use crate::registry::disk_reserve::DiskReserve;
use crate::registry::error::Error;
use crate::registry::gc::counters::GcCounters;
use crate::registry::gc::failed_removals::FailedRemovals;
use crate::registry::policy::retention::Retention;
use crate::registry::report::measurement::Measurements;
use crate::registry::settings::RegistrySettings;
use crate::registry::upload::batches::BatchBudget;

/// One registry on one data directory; clones share it.
#[derive(Clone)]
pub struct Registry {
    pub(super) meta: Meta,
    pub(super) blobs: Arc<BlobStore>,
    pub(super) settings: Arc<ArcSwap<RegistrySettings>>,
    /// Tells those who wait for other settings.
    pub(super) changed: Arc<Notify>,
    /// Hashes of open uploads whose state cannot be saved with the session. A cache only: a hash that is missing, or
    /// does not fit the file's length, is computed again from the file.
    pub(super) unsaved_hashes: Arc<Mutex<HashMap<UploadId, Hasher>>>,
    /// Pulls that are not yet recorded.
    pub(super) pulls: Arc<PullCounts>,
    /// Files that could not be removed.
    pub(super) failed_removals: Arc<FailedRemovals>,
    /// Memory for large manifests on their way in.
    pub(super) manifest_budget: ManifestBudget,
    pub(super) disk_reserve: Arc<DiskReserve>,
    /// Batches of upload bytes that may be in memory at once, over all uploads.
    pub(super) batches: BatchBudget,
    pub(super) collection: Arc<GcCounters>,
    pub(super) measurements: Arc<Measurements>,
}

impl Registry {
    /// Opens the data directory at `root`, making it, for its owner alone, where there is none.
    ///
    /// # Errors
    /// What keeps the directory or the database from being used, naming the path and a remedy.
    pub fn open(root: &Path, settings: RegistrySettings) -> Result<Self, Error> {
        let unusable = |cause: std::io::Error| Error::DataDirectory {
            path: root.to_owned(),
            cause,
        };
        make_root(root).map_err(unusable)?;
        let blobs = Arc::new(BlobStore::new(root));
        let published = Arc::clone(&blobs);
        // the database first: where it is somebody else's, nothing is to be left beside it
        let meta = Meta::open(
            &database_path(root),
            Box::new(move || published.sync_published()),
        )?;
        blobs.prepare().map_err(unusable)?;
        Ok(Self {
            meta,
            blobs,
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            changed: Arc::default(),
            unsaved_hashes: Arc::default(),
            pulls: Arc::default(),
            failed_removals: Arc::default(),
            manifest_budget: ManifestBudget::default(),
            disk_reserve: Arc::default(),
            batches: BatchBudget::default(),
            collection: Arc::default(),
            measurements: Arc::default(),
        })
    }

    /// Fails as [`Self::open`] would, as far as that can be told without a change to anything. Not for a process that has this
    /// registry open: the database is read as a file, and closing that lets go of SQLite's locks on it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(root: &Path) -> Result<(), Error> {
        crate::dir_check::check(root).map_err(|cause| Error::DataDirectory {
            path: root.to_owned(),
            cause,
        })?;
        if Self::is_at(root) {
            Ok(Meta::check(&database_path(root))?)
        } else {
            Ok(())
        }
    }

    /// Whether there is a registry in `root`; false also where that cannot be seen.
    pub fn is_at(root: &Path) -> bool {
        database_path(root).exists()
    }

    /// Opens a data directory that some server made.
    ///
    /// # Errors
    /// As [`Self::open`], and where there is no registry in it.
    pub fn open_existing(root: &Path, settings: RegistrySettings) -> Result<Self, Error> {
        match database_path(root).metadata() {
            Ok(_) => Self::open(root, settings),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::NoRegistry(root.to_owned()))
            }
            Err(cause) => Err(Error::DataDirectory {
                path: root.to_owned(),
                cause,
            }),
        }
    }

    /// Holds the directory as a server does, until it is dropped: beside other servers, and not beside who wants it alone.
    pub fn lock_serving(&self) -> Result<KeptOpen, Error> {
        let lock = || self.blobs.lock_directory(DirectoryLock::Shared);
        lock().map_err(Error::files("locking the data directory"))?.ok_or_else(|| {
            Error::Internal("registry garbage-collect has the data directory for itself: start again once it has ended".to_owned())
        })
    }

    /// Holds the directory alone, until it is dropped; none where a server has it.
    pub fn lock_alone(&self) -> Result<Option<KeptOpen>, Error> {
        self.blobs
            .lock_directory(DirectoryLock::Exclusive)
            .map_err(Error::files("locking the data directory"))
    }

    /// The same registry, which goes by other rules of what is kept.
    #[must_use]
    pub fn with_retention(self, retention: Retention) -> Self {
        let settings = RegistrySettings {
            retention,
            ..(*self.settings()).clone()
        };
        Self {
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            ..self
        }
    }

    /// The rules in force; an operation that looks at several of them asks once, so that they belong together.
    pub fn settings(&self) -> Arc<RegistrySettings> {
        self.settings.load_full()
    }

    /// From now on other rules hold, for this registry and all its clones; what is under way ends by those it began with.
    pub fn set_settings(&self, settings: RegistrySettings) {
        self.settings.store(Arc::new(settings));
        self.changed.notify_waiters();
    }

    /// Done once [`Self::set_settings`] is called after this call.
    pub fn settings_changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Refuses clients' changes where they may only read.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    pub fn check_writable(&self) -> Result<(), Error> {
        if self.settings.load().read_only {
            Err(Error::ReadOnly)
        } else {
            Ok(())
        }
    }

    pub(super) fn check_deletable(&self) -> Result<(), Error> {
        if self.settings.load().delete {
            Ok(())
        } else {
            Err(Error::DeleteDisabled)
        }
    }

    /// Makes one change to the metadata, durably, on behalf of `actor`.
    ///
    /// Every change that a client or a person asks for comes through here: the place for audit and events.
    pub(super) async fn write<T, F>(&self, actor: Actor, change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTx<'_>, &Actor) -> Result<T, Error> + Send + 'static,
    {
        self.meta.write(move |tx| change(tx, &actor)).await
    }

    /// Fails where accepting `incoming` more bytes would eat into the reserve of free disk.
    pub(super) fn check_disk_space(&self, incoming: u64) -> Result<(), Error> {
        let reserve = self.settings.load().reserve;
        self.disk_reserve.check(&self.blobs, reserve, incoming)
    }

    /// Runs a long query off the async workers.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Reader<'_>) -> Result<T, meta::Error> + Send + 'static,
    ) -> Result<T, Error> {
        Ok(self.meta.read(meta::scan(query)).await?)
    }
}

fn database_path(root: &Path) -> PathBuf {
    root.join("registry.db")
}

fn make_root(root: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(root)
}
