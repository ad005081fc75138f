//! A cache of manifests read since the last commit of any process: an unchanged database gives the same answer again.
//!
//! A change shows where SQLite's own connections look for it before each transaction: in the header of the log's index,
//! shared memory that every commit of every process changes before it becomes visible (SQLite, "WAL-mode File Format",
//! section 2.1). A connection that finds the header unchanged keeps using its page cache; this cache does the same. It
//! saves the locks and the look-up of a read transaction, a fifth of the cost of answering a pull.
//!
//! Without that file, or while the header is being changed, everything is read from the database.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::content::manifests::StoredManifest;
use super::sqlite::beside::beside;
use crate::sys::SharedWords;

/// Words of one copy of the header; the file starts with two copies.
const HEADER: usize = 12;
/// The word whose first byte is not zero once there is a header.
const FLAGS: usize = 3;
/// Maximum total size of the cached manifests, in bytes.
const CAPACITY: usize = 4 << 20;
/// Maximum size of a cached manifest, in bytes: larger ones would push out many others.
const LARGEST: usize = 256 << 10;
/// Estimated memory per manifest besides its bytes.
const OVERHEAD: usize = 512;

/// A fingerprint of the database's state, different after every commit.
pub type State = [u32; HEADER];

pub(in crate::meta) struct ManifestCache {
    index: Option<SharedWords<{ 2 * HEADER }>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    state: State,
    /// By repository, and then by tag or digest.
    manifests: HashMap<Box<str>, HashMap<Box<str>, Arc<StoredManifest>>>,
    size: usize,
}

impl ManifestCache {
    /// A cache for the database at `path`.
    ///
    /// This process must keep a connection to it open: the index is recreated after the last one closes.
    pub(in crate::meta) fn beside(path: &Path) -> Self {
        let index = File::open(beside(path, "-shm")).and_then(SharedWords::new);
        if let Err(error) = &index {
            tracing::warn!(%error, "cannot read the index of the database's log: pulls read every manifest from the database");
        }
        Self {
            index: index.ok(),
            kept: Mutex::default(),
        }
    }

    /// Returns the manifest of a reference if it was read in that state.
    pub(in crate::meta) fn get(
        &self,
        state: &State,
        repository: &str,
        reference: &str,
    ) -> Option<Arc<StoredManifest>> {
        self.kept.lock().get(state, repository, reference)
    }

    /// Caches a manifest that was read after `state` was observed, if the database is still in that state.
    pub(in crate::meta) fn insert(
        &self,
        state: State,
        repository: &str,
        reference: &str,
        manifest: &Arc<StoredManifest>,
    ) {
        if self.state() == Some(state) {
            self.kept
                .lock()
                .insert(state, repository, reference, manifest);
        }
    }

    /// Returns the current state; `None` while a commit is changing it.
    pub(in crate::meta) fn state(&self) -> Option<State> {
        let index = self.index.as_ref()?;
        // a writer changes the second copy first
        let (first, second) = (index.load::<HEADER>(0), index.load::<HEADER>(HEADER));
        (first == second && first[FLAGS].to_ne_bytes()[0] != 0).then_some(first)
    }
}

impl Kept {
    fn get(&self, state: &State, repository: &str, reference: &str) -> Option<Arc<StoredManifest>> {
        if self.state != *state {
            return None;
        }
        self.manifests.get(repository)?.get(reference).cloned()
    }

    fn insert(
        &mut self,
        state: State,
        repository: &str,
        reference: &str,
        manifest: &Arc<StoredManifest>,
    ) {
        let size = manifest.bytes.len() + OVERHEAD;
        if size > LARGEST {
            return;
        }
        if self.state != state || self.size + size > CAPACITY {
            *self = Self {
                state,
                ..Self::default()
            };
        }
        self.size += size;
        self.manifests
            .entry(repository.into())
            .or_default()
            .insert(reference.into(), Arc::clone(manifest));
    }
}
