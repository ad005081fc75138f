//! Metadata: every fact of the registry but the bytes of its blobs, in one SQLite file.
//!
//! The only module that knows SQL. Readers ([`Meta`]'s own methods) see the last commit and never wait for a write;
//! changes are closures over a [`WriteTx`], handed to [`Meta::write`], which runs many of them in one durable commit.
//! No type of rusqlite leaves this module.

mod blobs;
mod connection;
mod holding;
mod listings;
mod manifests;
mod pulls;
mod recent;
mod repositories;
mod settings;
mod stats;
mod sweep;
mod tags;
mod trash;
mod uploads;
mod usage;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

pub use blobs::{BlobRow, LinkRow};
pub use holding::{HeldManifest, NeededBlob, ShownBlob};
pub use listings::{ReferrerRow, RepositoryRow, TagRow};
pub use manifests::{ManifestId, NewManifest, StoredManifest, Weight};
pub use pulls::Pulls;
pub use repositories::RepositoryId;
pub use stats::Stats;
pub use sweep::{Cursor, DueCounts, FIRST, IdleBlob, IdleLink, IdleManifest, Removal};
pub use tags::{Actor, NEWEST, TagEnd, TagState, TaggedRow};
pub use trash::{RemovedTagRow, TrashRow};
pub use uploads::UploadRow;
pub use usage::{DatabaseSize, Idle, Totals, Usage};

use connection::Pool;
use recent::Recent;
use writer::Writer;

/// Milliseconds since 1970, as the database keeps them.
pub type Millis = i64;

/// The metadata store of one data directory; clones share it.
#[derive(Clone)]
pub struct Meta {
    /// For single-row look-ups, which async workers make in place: as many connections as there are such workers.
    points: Pool,
    /// For pages and reports, which run on blocking threads and may take longer.
    scans: Pool,
    recent: Arc<Recent>,
    /// SQLite's write-ahead log.
    log: Arc<Path>,
    writer: Arc<Writer>,
    stats: Arc<Stats>,
}

/// The inside of one change: runs alone, sees the changes queued before it, and is all committed or not at all.
pub struct WriteTx<'c> {
    connection: &'c Connection,
    /// Others change things as well: in this very transaction, or in another process just now.
    is_contended: bool,
}

impl WriteTx<'_> {
    /// Whether somebody else changes things just now, for whom changes that nobody waits for should make room.
    pub fn is_contended(&self) -> bool {
        self.is_contended
    }
}

/// What keeps the metadata from being read or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the database {path} was written by a newer registry (schema {found}, this one knows {known}): install that version, or restore a backup"
    )]
    TooNew {
        path: String,
        found: i64,
        known: i64,
    },
    #[error(
        "{0} is not a database of this registry: move that file away, or name another --data-dir"
    )]
    Foreign(String),
    #[error(
        "cannot open the database {path}: {cause}; it and the files beside it must be readable and writable for this user, or name another directory with --data-dir"
    )]
    Open { path: String, cause: String },
    #[error("the database failed: {0}")]
    Sqlite(Arc<rusqlite::Error>),
    #[error("no connection to the database was free: {0}")]
    Exhausted(String),
    #[error("the change could not be made durable: {0}")]
    Commit(String),
    #[error("the writer has stopped")]
    Stopped,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl Error {
    /// Whether the disk has no room for the change.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}

/// Runs in the writer's thread once per commit, before it: makes the files durable that the commit will promise.
pub type BeforeCommit = Box<dyn Fn() -> std::io::Result<()> + Send>;

impl Meta {
    /// Opens the database at `path`, making it where there is none, and applies what migrations it lacks.
    ///
    /// # Errors
    /// A file of another program, a database of a newer registry, and whatever the file system refuses.
    pub fn open(path: &Path, before_commit: BeforeCommit) -> Result<Self, Error> {
        let writing = connection::open_writer(path)?;
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let stats = Arc::<Stats>::default();
        Ok(Self {
            points: Pool::open(path, workers)?,
            scans: Pool::open(path, workers.max(4))?,
            recent: Arc::new(Recent::beside(path)),
            log: connection::beside(path, "-wal").into(),
            writer: Arc::new(Writer::start(writing, before_commit, Arc::clone(&stats))),
            stats,
        })
    }

    /// Fails as [`Self::open`] would for the database that is at `path`, as far as its first page tells. Nothing is changed:
    /// SQLite itself would make files beside one that is in use.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(path: &Path) -> Result<(), Error> {
        connection::check_header(path)
    }

    /// What this process has asked of the database.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Makes one change, durably: the answer comes after the commit that holds it is on disk.
    ///
    /// Where `change` fails, nothing of it remains, and changes committed beside it are not touched.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.writer
            .submit(change, true)
            .await
            .unwrap_or_else(|_| Err(Error::Stopped.into()))
    }

    /// As [`Self::write`], but a power failure may take it back, until something durable follows it or [`Self::sync`] is
    /// called: for what would then be done again.
    pub async fn write_lazily<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.writer
            .submit(change, false)
            .await
            .unwrap_or_else(|_| Err(Error::Stopped.into()))
    }

    /// Makes everything durable that anybody has committed by now. Blocks.
    pub fn sync(&self) -> std::io::Result<()> {
        // no lock of SQLite's is on the log itself, so it may be opened and closed
        match std::fs::File::open(&self.log).and_then(|log| log.sync_data()) {
            // copied back and removed: then it is in the database, durably
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// The present, by the system's clock.
pub fn now() -> Millis {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis::try_from(since_epoch.as_millis()).unwrap_or(Millis::MAX)
}
