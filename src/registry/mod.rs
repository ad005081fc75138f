//! The operations of a registry: what the protocol's verbs mean, for every caller alike.
//!
//! All rules live here, in terms of the vocabulary of [`crate::oci`]. Nothing here knows HTTP, SQL or a path: facts come
//! from [`crate::meta`], bytes from [`crate::blob`], and a change that needs both puts the bytes in place inside the
//! metadata's transaction.

mod acceptance;
mod delete;
mod describe;
mod error;
mod fall;
mod forecast;
mod history;
mod intake;
mod listings;
mod pattern;
mod preview;
mod progress;
mod pull;
mod pulls;
mod purging;
mod push;
mod readiness;
mod reconcile;
mod retention;
mod review;
mod room;
mod space;
mod stats;
mod stuck;
mod sweep;
mod trash;
mod upload;
mod usage;
mod why;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore};

pub use acceptance::{Acceptance, Children, Class, Urls};
pub use describe::{Description, Summary};
pub use error::Error;
pub use fall::Garbage;
pub use forecast::{Doomed, Forecast, Kind, Share};
pub use history::Restore;
pub use intake::{BodyError, BodyStream};
pub use listings::{Page, PageLimits, ReferrersPage};
pub use pattern::Pattern;
pub use preview::{Consequence, Deletion, Preview};
pub use progress::{Progress, Watcher};
pub use pull::OpenBlob;
pub use purging::Purging;
pub use push::Pushed;
pub use retention::{Decision, KeepUntagged, Policy, Retention, TagRule};
pub use room::Reservation;
pub use stats::{Blocking, Collection, Measured};
pub use sweep::{Sweep, Swept};
pub use trash::Restored;
pub use upload::{ChunkRange, UploadStatus};
pub use usage::{StoreUsage, TagUsage};
pub use why::{Chain, End, Step, StepKind, TagHold, Why};

use crate::blob::{BlobStore, Hasher, KeptOpen};
pub use crate::blob::{Operation, UploadId};
use crate::meta::Meta;
pub use crate::meta::{
    Actor, DatabaseSize, Idle, Millis, RemovedTagRow, TagEnd, TagState, Totals, TrashRow, Usage,
    now,
};
use crate::oci::{Digest, TagName};
use pulls::PullBuffer;
use room::Room;
use space::Shortage;
use stats::{BLOCKING, Stats};
use stuck::Stuck;

/// How a manifest is named in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestReference {
    Tag(TagName),
    Digest(Digest),
}

/// What an owner may set about the registry's rules.
#[derive(Clone, Debug)]
pub struct Settings {
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
    pub purging: Purging,
    /// The longest pages of lists.
    pub pages: PageLimits,
    /// What is accepted of what clients push.
    pub acceptance: Acceptance,
    /// What is kept, and for how long.
    pub retention: Retention,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sparse: false,
            manifest_limit: 4 << 20,
            reserve: 256 << 20,
            delete: true,
            read_only: false,
            purging: Purging::default(),
            pages: PageLimits::default(),
            acceptance: Acceptance::default(),
            retention: Retention::default(),
        }
    }
}

/// One registry on one data directory; clones share it.
#[derive(Clone)]
pub struct Registry {
    meta: Meta,
    blobs: Arc<BlobStore>,
    settings: Arc<ArcSwap<Settings>>,
    /// Tells those who wait for other settings.
    changed: Arc<Notify>,
    /// Hashes of open uploads whose state cannot be saved with the session. A cache only: a hash that is missing, or
    /// does not fit the file's length, is computed again from the file.
    unsaved_hashes: Arc<Mutex<HashMap<UploadId, Hasher>>>,
    /// Pulls that are not yet recorded.
    pulls: Arc<PullBuffer>,
    /// Files that could not be removed.
    stuck: Arc<Stuck>,
    /// Memory for large manifests on their way in.
    manifests: Room,
    shortage: Arc<Shortage>,
    /// Batches of upload bytes that may be in memory at once, over all uploads.
    batches: Arc<Semaphore>,
    stats: Arc<Stats>,
}

impl Registry {
    /// Opens the data directory at `root`, making it, for its owner alone, where there is none.
    ///
    /// # Errors
    /// What keeps the directory or the database from being used, naming the path and a remedy.
    pub fn open(root: &Path, settings: Settings) -> Result<Self, Error> {
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
            stuck: Arc::default(),
            manifests: Room::default(),
            shortage: Arc::default(),
            batches: Arc::new(Semaphore::new(intake::BATCHES_IN_MEMORY)),
            stats: Arc::default(),
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
    pub fn open_existing(root: &Path, settings: Settings) -> Result<Self, Error> {
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
        let lock = || self.blobs.lock_root(false);
        lock().map_err(Error::files("locking the data directory"))?.ok_or_else(|| {
            Error::Internal("registry garbage-collect has the data directory for itself: start again once it has ended".to_owned())
        })
    }

    /// Holds the directory alone, until it is dropped; none where a server has it.
    pub fn lock_alone(&self) -> Result<Option<KeptOpen>, Error> {
        self.blobs
            .lock_root(true)
            .map_err(Error::files("locking the data directory"))
    }

    /// The same registry, which goes by other rules of what is kept.
    #[must_use]
    pub fn with_retention(self, retention: Retention) -> Self {
        let settings = Settings {
            retention,
            ..(*self.settings()).clone()
        };
        Self {
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            ..self
        }
    }

    /// The rules in force; an operation that looks at several of them asks once, so that they belong together.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// From now on other rules hold, for this registry and all its clones; what is under way ends by those it began with.
    pub fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
        self.changed.notify_waiters();
    }

    /// Done once [`Self::set_settings`] is called after this call.
    pub fn settings_changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Room in memory for a large manifest that is on its way in; none of it is taken yet.
    #[must_use]
    pub fn reserve_memory(&self) -> Reservation {
        self.manifests.reserve()
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

    fn check_deletable(&self) -> Result<(), Error> {
        if self.settings.load().delete {
            Ok(())
        } else {
            Err(Error::DeleteDisabled)
        }
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

/// Runs what blocks, or computes for long, off the async workers.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    BLOCKING.waiting.add(1);
    let counted = move || {
        BLOCKING.waiting.add(-1);
        BLOCKING.running.add(1);
        let _running = Running;
        work()
    };
    tokio::task::spawn_blocking(counted)
        .await
        .map_err(|error| Error::Internal(format!("a blocking task ended early: {error}")))
}

/// A blocking task that runs, counted as such however it ends.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        BLOCKING.running.add(-1);
    }
}
