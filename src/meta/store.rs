//! The metadata store: its connections, its cache and its writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{oneshot, watch};

use super::access::signing_keys::SigningKeyRow;
use super::access::tokens::{SecretRow, TokenRow};
use super::content::manifests::StoredManifest;
use super::error::Error;
use super::gc::clock_record::ClockState;
use super::manifest_cache::ManifestCache;
use super::read_cache::ReadCache;
use super::sqlite::beside::beside;
use super::sqlite::connection;
use super::sqlite::copy::{self, BackupMark, DatabaseCopy};
use super::sqlite::copy_on_write::{KeptFiles, SharedIndex};
use super::sqlite::pool::Pools;
use super::sqlite::reader::{PointReader, Read, point};
use super::sqlite::schema;
use super::sqlite::writer::{BeforeCommit, Durability, WriteTx, Writer};
use super::stats::Stats;
use crate::oci::{Digest, RepositoryName, TagName};

/// A fingerprint of the database, which every commit of any process changes.
pub type DatabaseState = super::manifest_cache::State;

/// A secret with its token.
type FoundSecret = Arc<(TokenRow, SecretRow)>;

/// The metadata store of one data directory; clones share it.
#[derive(Clone)]
pub struct Meta {
    path: Arc<Path>,
    pools: Pools,
    manifest_cache: Arc<ManifestCache>,
    token_cache: Arc<ReadCache<Option<FoundSecret>>>,
    has_tokens: Arc<ReadCache<bool>>,
    signing_keys: Arc<ReadCache<Arc<Vec<SigningKeyRow>>>>,
    /// SQLite's write-ahead log.
    log: Arc<Path>,
    writer: Arc<Writer>,
    /// Told of each commit of this process with new events.
    events: watch::Receiver<()>,
    stats: Arc<Stats>,
    /// True once a read has met damage of the database.
    is_damaged: Arc<AtomicBool>,
    /// Dropped after all connections.
    _files: Arc<KeptFiles>,
}

impl Meta {
    /// Opens the database at `path`, creating it if absent, and applies missing migrations.
    ///
    /// # Errors
    /// A file of another program, a database of a newer registry, and file system errors.
    pub fn open(path: &Path, before_commit: BeforeCommit) -> Result<Self, Error> {
        let writing = connection::open_writer(path)?;
        let stats = Arc::<Stats>::default();
        let pools = Pools::open(path)?;
        PointReader {
            connection: &*pools.points.connection()?,
        }
        .follow_clock()?;
        let (told, events) = watch::channel(());
        Ok(Self {
            path: path.into(),
            pools,
            manifest_cache: Arc::new(ManifestCache::beside(path)),
            token_cache: Arc::default(),
            has_tokens: Arc::default(),
            signing_keys: Arc::default(),
            log: beside(path, "-wal").into(),
            writer: Arc::new(Writer::start(
                writing,
                SharedIndex::of(path),
                before_commit,
                Arc::clone(&stats),
                told,
            )),
            events,
            stats,
            is_damaged: Arc::default(),
            _files: Arc::new(KeptFiles::of(path)),
        })
    }

    /// Fails if [`Self::open`] would refuse the database at `path`, as far as its first page tells.
    ///
    /// Nothing is changed: SQLite itself would create files beside a database that is in use.
    ///
    /// # Errors
    /// Like [`Self::open`].
    pub fn check(path: &Path) -> Result<(), Error> {
        schema::check_header(path)
    }

    /// Reports whether the database holds content, or ever had some. Blocks.
    pub fn has_ever_held_content(&self) -> Result<bool, Error> {
        let connection = self.pools.points.connection()?;
        PointReader {
            connection: &connection,
        }
        .has_ever_held_content()
    }

    /// Reports whether the database lists a blob. Blocks.
    pub fn has_blobs(&self) -> Result<bool, Error> {
        let connection = self.pools.points.connection()?;
        PointReader {
            connection: &connection,
        }
        .has_blobs()
    }

    /// Returns what tells this database's file from copies of it; empty if the file cannot be seen.
    pub fn place(&self) -> String {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(&self.path);
        metadata.map_or_else(
            |_| String::new(),
            |file| format!("{}:{}", file.dev(), file.ino()),
        )
    }

    /// Counters of this process's reads and commits.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Reads the database: a [`point`] read in place, a [`scan`](super::scan) on a blocking thread.
    pub async fn read<R: Read>(&self, read: R) -> Result<R::Output, Error> {
        let found = read.run(&self.pools).await;
        found.map_err(|error| {
            let error = error.in_file(&self.path);
            if matches!(error, Error::Damaged { .. }) {
                self.is_damaged.store(true, Ordering::Relaxed);
            }
            error
        })
    }

    /// Reports whether a read of this process has met damage of the database, or verification has found some.
    pub async fn is_damaged(&self) -> Result<bool, Error> {
        // recorded, so that it is known until verification finds none
        if self.is_damaged.load(Ordering::Relaxed) {
            let recorded = self.write_lazily(|tx| tx.set_damaged(true)).await;
            self.is_damaged.store(recorded.is_err(), Ordering::Relaxed);
            return Ok(true);
        }
        self.read(point(|reader| reader.has_damaged_structure()))
            .await
    }

    /// Returns the manifest that a tag points at, from memory if nothing was committed since it was last read.
    pub async fn manifest_by_tag(
        &self,
        repository: &RepositoryName,
        tag: &TagName,
    ) -> Result<Option<Arc<StoredManifest>>, Error> {
        self.cached(repository, tag.as_str(), |reader| {
            reader.manifest_by_tag(repository, tag)
        })
        .await
    }

    /// Returns the manifest of that digest, from memory if nothing was committed since it was last read.
    pub async fn manifest_by_digest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Arc<StoredManifest>>, Error> {
        self.cached(repository, digest.as_str(), |reader| {
            reader.manifest_by_digest(repository, digest)
        })
        .await
    }

    async fn cached(
        &self,
        repository: &RepositoryName,
        reference: &str,
        query: impl FnOnce(&PointReader<'_>) -> Result<Option<StoredManifest>, Error> + Send,
    ) -> Result<Option<Arc<StoredManifest>>, Error> {
        self.stats.manifests_read.add(1);
        let state = self.manifest_cache.state();
        if let Some(state) = &state
            && let Some(manifest) = self
                .manifest_cache
                .get(state, repository.as_str(), reference)
        {
            self.stats.manifests_remembered.add(1);
            return Ok(Some(manifest));
        }
        let found = self.read(point(query)).await;
        self.stats.manifests_failed.add(u64::from(found.is_err()));
        let found = found?.map(Arc::new);
        if let (Some(state), Some(manifest)) = (state, &found) {
            self.manifest_cache
                .insert(state, repository.as_str(), reference, manifest);
        }
        Ok(found)
    }

    /// Returns the secret of that id with its token, from memory if nothing was committed since it was last read.
    pub async fn token_of_secret(&self, id: &str) -> Result<Option<FoundSecret>, Error> {
        self.remembered(&self.token_cache, id, |reader| {
            Ok(reader.token_of_secret(id)?.map(Arc::new))
        })
        .await
    }

    /// Reports whether there is a token that was not revoked, from memory as [`Self::token_of_secret`].
    pub async fn has_tokens(&self) -> Result<bool, Error> {
        self.remembered(&self.has_tokens, "", |reader| reader.has_tokens())
            .await
    }

    /// Returns the keys that sign tokens, the newest first, from memory as [`Self::token_of_secret`].
    pub async fn signing_keys(&self) -> Result<Arc<Vec<SigningKeyRow>>, Error> {
        self.remembered(&self.signing_keys, "", |reader| {
            Ok(Arc::new(reader.signing_keys()?))
        })
        .await
    }

    async fn remembered<T: Clone + Send>(
        &self,
        cache: &ReadCache<T>,
        key: &str,
        query: impl FnOnce(&PointReader<'_>) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let before = self.manifest_cache.state();
        if let Some(known) = before.as_ref().and_then(|state| cache.get(state, key)) {
            return Ok(known);
        }
        let found = self.read(point(query)).await?;
        // unless something was committed meanwhile
        if let Some(state) = before.filter(|_| self.manifest_cache.state() == before) {
            cache.insert(state, key, found.clone());
        }
        Ok(found)
    }

    /// Makes one change, durably: the answer comes after the commit that holds it is on disk.
    ///
    /// If `change` fails, nothing of it remains, and changes committed with it are not affected.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        self.queue(change, reply);
        outcome.await.unwrap_or_else(|_| Err(Error::Stopped.into()))
    }

    /// Like [`Self::write`], for a thread that does not wait: the outcome goes to `reply`, which is dropped if the
    /// writer has stopped.
    pub fn queue<T, E, F>(&self, change: F, reply: oneshot::Sender<Result<T, E>>)
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.writer.submit(change, Durability::Durable, reply);
    }

    /// Like [`Self::write`], but without waiting for the disk.
    ///
    /// A power failure may undo it until a durable change follows or [`Self::sync`] is called: for changes that would
    /// then be made again.
    pub async fn write_lazily<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        self.writer.submit(change, Durability::Lazy, reply);
        outcome.await.unwrap_or_else(|_| Err(Error::Stopped.into()))
    }

    /// Like [`Self::write_lazily`], for a change that nobody waits for: it may wait for another one, and then shares its transaction.
    pub async fn write_along<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        self.writer.submit(change, Durability::Patient, reply);
        outcome.await.unwrap_or_else(|_| Err(Error::Stopped.into()))
    }

    /// Returns what is told of each commit of this process with new events.
    pub fn events(&self) -> watch::Receiver<()> {
        self.events.clone()
    }

    /// Returns a fingerprint of the database, which every commit of any process changes; `None` if it cannot be seen now.
    pub fn state(&self) -> Option<DatabaseState> {
        self.manifest_cache.state()
    }

    /// Follows the system's clock, and corrects recorded times after a jump of it.
    ///
    /// For one process on the data directory, its server. The others go on as recorded.
    pub async fn follow_clock(&self) -> Result<ClockState, Error> {
        if let Some(state) = self.read(point(|reader| reader.follow_clock())).await? {
            return Ok(state);
        }
        let recorded = self.write_lazily(|tx| tx.record_clock()).await;
        if recorded.is_err() {
            // what was not committed must not be followed
            self.read(point(|reader| reader.follow_clock())).await?;
        }
        recorded
    }

    /// Copies the database as of its last commit to a file, durably, and marks the copy. Blocks.
    ///
    /// Leaves out state of the server of this directory alone: open uploads, files to be removed, and the outbox.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the copy is, and those of both file systems.
    pub fn copy_to(&self, path: &Path, mark: &BackupMark) -> Result<DatabaseCopy, Error> {
        copy::copy(&self.path, path, mark)
    }

    /// Makes everything durable that any process has committed so far. Blocks.
    pub fn sync(&self) -> std::io::Result<()> {
        // SQLite holds no lock on the log itself, so it may be opened and closed
        match std::fs::File::open(&self.log).and_then(|log| log.sync_data()) {
            // checkpointed and removed: then everything is in the database, durably
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}
