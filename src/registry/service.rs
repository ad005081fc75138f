//! The registry: an open data directory, and the state that its operations share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

use crate::blob::{BlobStore, DirectoryLock, EmergencySpace, Hasher, KeptOpen, UploadId};
use crate::meta::{self, Actor, Meta, Reader, WriteTx};
use crate::registry::access::refused_logins::RefusedLogins;
use crate::registry::access::token_uses::TokenUses;
use crate::registry::backup::counters::BackupCounters;
use crate::registry::blocking::blocking;
use crate::registry::content::damage_log::DamageLog;
use crate::registry::content::lost_blobs::{BlobFiles, LostBlobs};
use crate::registry::content::pull::counts::UseCounts;
use crate::registry::content::pull::promises::Promises;
use crate::registry::content::push::manifest_budget::ManifestBudget;
use crate::registry::content::push::parsing_space::ParsingSpace;
use crate::registry::content::push::validation::ManifestRules;
use crate::registry::disk_reserve::DiskReserve;
use crate::registry::error::Error;
use crate::registry::gc::counters::GcCounters;
use crate::registry::gc::eviction_counters::Evictions;
use crate::registry::gc::failed_removals::FailedRemovals;
use crate::registry::import::progress::ImportProgress;
use crate::registry::outbox::counters::OutboxCounters;
use crate::registry::outbox::notes::Notes;
use crate::registry::policy::retention::Retention;
use crate::registry::report::measurement::Measurements;
use crate::registry::settings::RegistrySettings;
use crate::registry::upload::batch_budget::BatchBudget;
use crate::registry::upload::quota_ledger::Ledgers;
use crate::registry::verify::counters::VerifyCounters;

/// A registry on one data directory; clones share it.
#[derive(Clone)]
pub struct Registry {
    pub(super) meta: Meta,
    pub(super) blobs: Arc<BlobStore>,
    pub(super) settings: Arc<ArcSwap<RegistrySettings>>,
    /// Notifies waiters of changed settings.
    pub(super) changed: Arc<Notify>,
    /// Hashes of open uploads whose state cannot be saved with the session.
    ///
    /// A cache only: a hash that is missing, or does not fit the file's length, is computed again
    /// from the file.
    pub(super) unsaved_hashes: Arc<Mutex<HashMap<UploadId, Hasher>>>,
    /// Pulls and checks that are not yet recorded.
    pub(super) uses: Arc<UseCounts>,
    /// Last uses of tokens that are not yet recorded.
    pub(super) token_uses: Arc<TokenUses>,
    /// Refused logins that are not yet recorded.
    pub(super) refused: Arc<RefusedLogins>,
    /// Blobs that pushes count on without a record of it.
    pub(super) promises: Arc<Promises>,
    /// Files that could not be removed.
    pub(super) failed_removals: Arc<FailedRemovals>,
    /// Blobs whose files were found lost.
    pub(super) lost_blobs: Arc<LostBlobs>,
    /// Memory for large manifests that are being received.
    pub(super) manifest_budget: ManifestBudget,
    /// Memory for manifests that are being parsed.
    pub(super) parsing_space: ParsingSpace,
    pub(super) disk_reserve: Arc<DiskReserve>,
    pub(super) emergency_space: Arc<EmergencySpace>,
    pub(super) quota_ledgers: Arc<Ledgers>,
    /// Memory for batches of upload bytes.
    pub(super) batches: BatchBudget,
    pub(super) collection: Arc<GcCounters>,
    pub(super) evictions: Arc<Evictions>,
    pub(super) measurements: Arc<Measurements>,
    pub(super) import: ImportProgress,
    pub(super) backups: Arc<BackupCounters>,
    pub(super) verification: Arc<VerifyCounters>,
    /// Damaged content that the log has named.
    pub(super) damage_log: Arc<DamageLog>,
    /// Events that are not yet written.
    pub(super) notes: Arc<Notes>,
    pub(super) outbox_counters: Arc<OutboxCounters>,
}

impl Registry {
    /// Opens the data directory at `root`; creates it, for its owner alone, if it does not exist.
    ///
    /// # Errors
    /// [`Error::DataDirectory`], [`Error::DatabaseLost`], [`Error::BlobsLost`] and database errors, with path and remedy.
    pub fn open(root: &Path, settings: RegistrySettings) -> Result<Self, Error> {
        let unusable = |cause: std::io::Error| Error::DataDirectory {
            path: root.to_owned(),
            cause,
        };
        make_root(root).map_err(unusable)?;
        let _stays = keep_from_backup(root)?;
        if has_lost_database(root).map_err(unusable)? {
            return Err(Error::DatabaseLost(root.to_owned()));
        }
        let emergency_space = EmergencySpace::of(root);
        let blobs = Arc::new(BlobStore::new(root));
        let published = Arc::clone(&blobs);
        // the database first: nothing must be left beside one that belongs to another program
        let meta = Meta::open(
            &Self::database_path(root),
            Box::new(move || published.sync_published()),
        )?;
        if !meta.has_ever_held_content()?
            && blobs.has_content().map_err(unusable)?
            // another process may have stored its first blob meanwhile
            && !meta.has_ever_held_content()?
        {
            return Err(Error::DatabaseLost(root.to_owned()));
        }
        // a blob has its file before its row
        if meta.has_blobs()? && blobs.shards().map_err(unusable)?.is_empty() {
            return Err(Error::BlobsLost(root.to_owned()));
        }
        blobs.prepare().map_err(unusable)?;
        emergency_space.hold();
        Ok(Self {
            meta,
            blobs,
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            changed: Arc::default(),
            unsaved_hashes: Arc::default(),
            uses: Arc::default(),
            token_uses: Arc::default(),
            refused: Arc::default(),
            promises: Arc::default(),
            failed_removals: Arc::default(),
            lost_blobs: Arc::default(),
            manifest_budget: ManifestBudget::default(),
            parsing_space: ParsingSpace::default(),
            disk_reserve: Arc::default(),
            emergency_space: Arc::new(emergency_space),
            quota_ledgers: Arc::default(),
            batches: BatchBudget::default(),
            collection: Arc::default(),
            evictions: Arc::default(),
            measurements: Arc::default(),
            import: ImportProgress::default(),
            backups: Arc::default(),
            verification: Arc::default(),
            damage_log: Arc::default(),
            notes: Arc::default(),
            outbox_counters: Arc::default(),
        })
    }

    /// Fails as [`Self::open`] would, as far as can be told without any change.
    ///
    /// Not for a process that has this registry open: the database is read as a file, and closing
    /// that releases SQLite's locks on it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(root: &Path) -> Result<(), Error> {
        crate::files::dir_check::check(root).map_err(|cause| Error::DataDirectory {
            path: root.to_owned(),
            cause,
        })?;
        match has_lost_database(root) {
            Ok(true) => Err(Error::DatabaseLost(root.to_owned())),
            // a directory that may not be listed was no obstacle to the check above
            _ if Self::is_at(root) => Ok(Meta::check(&Self::database_path(root))?),
            _ => Ok(()),
        }
    }

    /// Returns the path of the database in the data directory `root`.
    pub fn database_path(root: &Path) -> PathBuf {
        root.join("registry.db")
    }

    /// Returns the path of the database of a backup in `root` that is not complete.
    pub fn partial_database_path(root: &Path) -> PathBuf {
        root.join("registry.db.partial")
    }

    /// Reports whether `root` contains a registry; false if that cannot be seen.
    pub fn is_at(root: &Path) -> bool {
        Self::database_path(root).exists()
    }

    /// Opens an existing data directory.
    ///
    /// # Errors
    /// As [`Self::open`], and [`Error::NoRegistry`] if there is none.
    pub fn open_existing(root: &Path, settings: RegistrySettings) -> Result<Self, Error> {
        match Self::database_path(root).metadata() {
            Ok(_) => Self::open(root, settings),
            Err(_) if has_lost_database(root).unwrap_or(false) => {
                Err(Error::DatabaseLost(root.to_owned()))
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::NoRegistry(root.to_owned()))
            }
            Err(cause) => Err(Error::DataDirectory {
                path: root.to_owned(),
                cause,
            }),
        }
    }

    /// Locks the directory for this process alone; `None` if a server runs.
    pub fn lock_alone(&self) -> Result<Option<KeptOpen>, Error> {
        self.blobs
            .lock_directory(DirectoryLock::Exclusive)
            .map_err(Error::files("locking the data directory"))
    }

    /// Replaces the retention settings.
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

    /// Replaces the rules about pushed manifests.
    #[must_use]
    pub fn with_manifest_rules(self, manifest_rules: ManifestRules) -> Self {
        let settings = RegistrySettings {
            manifest_rules,
            ..(*self.settings()).clone()
        };
        Self {
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            ..self
        }
    }

    /// Replaces the rule about images that lack content.
    #[must_use]
    pub fn with_sparse(self, sparse: bool) -> Self {
        let settings = RegistrySettings {
            sparse,
            ..(*self.settings()).clone()
        };
        Self {
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            ..self
        }
    }

    /// Replaces the free disk that pushes must leave, in bytes.
    #[must_use]
    pub fn with_reserve(self, reserve: u64) -> Self {
        let settings = RegistrySettings {
            reserve,
            ..(*self.settings()).clone()
        };
        Self {
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            ..self
        }
    }

    /// Returns the settings in force.
    ///
    /// An operation that needs several reads them once, so that they belong together.
    pub fn settings(&self) -> Arc<RegistrySettings> {
        self.settings.load_full()
    }

    /// Replaces the settings, for all clones; operations in progress keep those they began with.
    pub fn set_settings(&self, settings: RegistrySettings) {
        self.settings.store(Arc::new(settings));
        self.changed.notify_waiters();
    }

    /// Completes once [`Self::set_settings`] is called after this call.
    pub fn settings_changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Returns what changes need that look at blobs' files.
    pub(super) fn blob_files(&self) -> BlobFiles {
        BlobFiles {
            blobs: Arc::clone(&self.blobs),
            lost: Arc::clone(&self.lost_blobs),
        }
    }

    /// Rejects clients while another registry's store is taken over.
    ///
    /// # Errors
    /// [`Error::TakingOver`].
    pub fn check_available(&self) -> Result<(), Error> {
        match self.import.running() {
            Some(counts) => Err(Error::TakingOver(counts)),
            None => Ok(()),
        }
    }

    /// Rejects clients' changes in read-only mode.
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
    /// Every change requested by a client or a person passes here: the place for audit and events.
    pub(super) async fn write<T, F>(&self, actor: Actor, change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTx<'_>, &Actor) -> Result<T, Error> + Send + 'static,
    {
        match self.meta.write(on_behalf_of(actor, change)).await {
            Err(error) => Err(self.name_shortage(error).await),
            outcome => outcome,
        }
    }

    /// Like [`Self::write`], for a thread that does not wait: the outcome goes to `reply`.
    ///
    /// [`Self::name_shortage`] of an error is up to the receiver.
    pub(super) fn queue_write<T, F>(
        &self,
        actor: Actor,
        change: F,
        reply: oneshot::Sender<Result<T, Error>>,
    ) where
        T: Send + 'static,
        F: FnOnce(&WriteTx<'_>, &Actor) -> Result<T, Error> + Send + 'static,
    {
        self.meta.queue(on_behalf_of(actor, change), reply);
    }

    /// Names what ran out, if that is why a change could not be written.
    pub(super) async fn name_shortage(&self, error: Error) -> Error {
        let cause = match error {
            Error::Meta(cause) if cause.is_unwritten() => cause,
            other => return other,
        };
        self.blobs.note_late_shortage();
        let blobs = Arc::clone(&self.blobs);
        match blocking(move || blobs.find_shortage()).await {
            Ok(Ok(Some(shortage))) => Error::StorageFull(shortage),
            Ok(_) => Error::Meta(cause),
            Err(error) => error,
        }
    }

    /// Runs a long query off the async workers.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Reader<'_>) -> Result<T, meta::Error> + Send + 'static,
    ) -> Result<T, Error> {
        Ok(self.meta.read(meta::scan(query)).await?)
    }
}

/// Returns a change that is recorded as made by `actor`.
fn on_behalf_of<T, F>(
    actor: Actor,
    change: F,
) -> impl FnOnce(&WriteTx<'_>) -> Result<T, Error> + Send + 'static
where
    F: FnOnce(&WriteTx<'_>, &Actor) -> Result<T, Error> + Send + 'static,
{
    move |tx| {
        tx.forget_backup_mark()?;
        change(tx, &actor)
    }
}

/// Has a backup to `root` fail that would replace the database now; none is looked for where none was ever begun.
fn keep_from_backup(root: &Path) -> Result<Option<KeptOpen>, Error> {
    if !Registry::partial_database_path(root).exists() {
        return Ok(None);
    }
    let lock = BlobStore::new(root)
        .lock_directory(DirectoryLock::Shared)
        .map_err(Error::files("locking the data directory"))?;
    match lock {
        Some(lock) => Ok(Some(lock)),
        None => Err(Error::BackedUpTo(root.to_owned())),
    }
}

/// Reports whether `root` holds blobs and no database, or an empty file in its place.
fn has_lost_database(root: &Path) -> std::io::Result<bool> {
    let is_empty = match Registry::database_path(root).metadata() {
        Ok(database) => database.len() == 0,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(error),
    };
    Ok(is_empty && BlobStore::new(root).has_content()?)
}

fn make_root(root: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(root)
}
