//! The take-over of a store of `registry:2` that lies in the data directory.
//!
//! It is repeated from the beginning after whatever interrupted it: what is there already costs a look at the database.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc::{self, Sender, channel};

use crate::import::damage::Damage;
use crate::import::distribution::store::DistributionStore;
use crate::import::error::Error;
use crate::import::receiver::{Arrived, Receiver};
use crate::oci::RepositoryName;
use crate::registry::{
    self, ImportPiece, ImportedBlob, ImportedTag, Present, Registry, RepositorySource, TagFate,
    TakeOver as State,
};
use crate::threads::blocking;

/// Pause before a failed attempt is repeated.
const PAUSE: Duration = Duration::from_secs(10);
/// Maximum number of pieces that wait to be recorded, and then are at once.
const QUEUE: usize = 32;
/// Maximum number of threads that read the other store.
const MAX_THREADS: usize = 8;

/// Rule about stores of `registry:2` in the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Take it over if the database is new.
    Auto,
    /// Leave it alone.
    Off,
}

/// A take-over that is to be done.
pub struct TakeOver {
    store: DistributionStore,
    source: RepositorySource,
}

impl TakeOver {
    /// Finds out what is to be taken over into a data directory, and makes the registry unavailable until [`Self::run`] is done.
    ///
    /// Its repositories come from `source`. A take-over that was begun goes on, whatever the rule says now.
    ///
    /// # Errors
    /// [`Error::Gone`], [`Error::NoHardLinks`], and errors of the database.
    pub async fn find(
        registry: &Registry,
        directory: &Path,
        rule: Rule,
        source: RepositorySource,
    ) -> Result<Option<Self>, Error> {
        let store = DistributionStore::find(directory);
        let state = registry.import().take_over().await?;
        let store = match (state, store) {
            (State::Begun, None) => {
                return Err(Error::Gone(DistributionStore::path_in(directory)));
            }
            (State::Complete, _) | (_, None) => return Ok(None),
            (State::Unused, Some(store)) if rule == Rule::Auto => {
                if !registry.import().can_link()? {
                    return Err(Error::NoHardLinks(directory.to_owned()));
                }
                registry.import().begin_take_over().await?;
                store
            }
            (State::Begun, Some(store)) => store,
            (State::Unused | State::Declined, Some(store)) => {
                tracing::warn!(
                    "{} is a store of registry:2: its images are not served, and stay untouched",
                    store.path().display()
                );
                return Ok(None);
            }
        };
        registry.import().progress().begin();
        Ok(Some(Self { store, source }))
    }

    /// Takes the store over, and repeats that until it succeeds.
    pub async fn run(self, registry: &Registry) {
        tracing::info!(
            "taking over {}; clients get 503 until this is done",
            self.store.path().display()
        );
        loop {
            match self.attempt(registry).await {
                Ok(()) => return,
                Err(error) => {
                    registry.import().progress().fail();
                    tracing::error!(%error, "cannot take over the store of registry:2; trying again in 10 s");
                    tokio::time::sleep(PAUSE).await;
                    registry.import().progress().begin();
                }
            }
        }
    }

    async fn attempt(&self, registry: &Registry) -> Result<(), Error> {
        let begun = Instant::now();
        let (sender, pieces) = channel(QUEUE);
        let (store, reader) = (self.store.clone(), registry.clone());
        let reading = blocking::run(move || {
            let taking = Taking {
                registry: reader,
                pieces: sender,
                named: AtomicU64::new(0),
                denied: Mutex::default(),
            };
            let threads = std::thread::available_parallelism().map_or(2, usize::from);
            let named = store.named(&taking, &mut |repository| Some(repository.name.clone()))?;
            store.read(&taking, threads.min(MAX_THREADS), named)?;
            match taking.denied.into_inner() {
                Some(path) => Err(Error::unreadable(&path)(ErrorKind::PermissionDenied.into())),
                None => Ok(taking.named.into_inner()),
            }
        });
        let (read, recorded) = tokio::join!(reading, record_all(registry, &self.source, pieces));
        recorded?;
        let damaged = read.map_err(|error| registry::Error::Internal(error.to_string()))??;
        registry.import().complete_take_over().await?;
        let progress = registry.import().progress();
        let counts = progress.counts();
        tracing::info!(
            repositories = counts.repositories_done,
            manifests = counts.manifests,
            tags = counts.tags,
            damaged,
            "took over the store of registry:2 in {:.1} s; it stays as it is, and blobs are now checked in the background",
            begun.elapsed().as_secs_f64()
        );
        progress.finish();
        Ok(())
    }
}

/// The receiver of a take-over: links blobs, queues the rest, and logs damage.
struct Taking {
    registry: Registry,
    pieces: Sender<ImportPiece>,
    /// Pieces of damage that were logged.
    named: AtomicU64,
    /// The first file that this user may not read: it is no damage, and the take-over waits for it.
    denied: Mutex<Option<PathBuf>>,
}

impl Receiver for Taking {
    fn expect(&self, repositories: usize) {
        self.registry.import().progress().expect(repositories);
    }

    /// Nothing: what an interrupted attempt recorded may have lost its files in a power failure.
    fn present(&self, _: &RepositoryName) -> Result<Present, Error> {
        Ok(Present::default())
    }

    fn bring(
        &self,
        repository: &RepositoryName,
        blobs: Vec<ImportedBlob>,
    ) -> Result<Arrived, Error> {
        blobs
            .iter()
            .try_for_each(|blob| self.registry.import().link(blob))?;
        Ok(Arrived {
            pieces: vec![ImportPiece::Blobs(repository.clone(), blobs)],
            failed: Vec::new(),
        })
    }

    fn judge(
        &self,
        _: &RepositoryName,
        tags: Vec<ImportedTag>,
    ) -> Result<Vec<(ImportedTag, TagFate)>, Error> {
        Ok(tags.into_iter().map(|tag| (tag, TagFate::Set)).collect())
    }

    fn take(&self, pieces: Vec<ImportPiece>) -> Result<(), Error> {
        pieces.into_iter().try_for_each(|piece| {
            self.pieces
                .blocking_send(piece)
                .map_err(|_| Error::Interrupted)
        })
    }

    fn report(&self, path: &Path, damage: Damage) {
        if damage == Damage::Denied {
            let mut denied = self.denied.lock();
            denied.get_or_insert_with(|| path.to_owned());
            return;
        }
        self.named.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(path = %path.display(), "not taken over as it is: {damage}");
    }
}

/// Records pieces, as many at once as are waiting, until there are no more.
async fn record_all(
    registry: &Registry,
    source: &RepositorySource,
    mut pieces: mpsc::Receiver<ImportPiece>,
) -> Result<(), registry::Error> {
    let mut batch = Vec::new();
    while pieces.recv_many(&mut batch, QUEUE).await > 0 {
        let batch = std::mem::take(&mut batch);
        registry
            .import()
            .record_lazily(batch, source.clone())
            .await?;
    }
    Ok(())
}
