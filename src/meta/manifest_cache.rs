//! Manifests that were read since the last commit of anybody: an unchanged database gives the same answer again.
//!
//! Whether it is unchanged is read where SQLite's own connections read it before each transaction: in the header of the
//! log's index, shared memory that every commit of every process changes before it is visible (SQLite, "WAL-mode File
//! Format", section 2.1). A connection that finds there what it found the last time goes on using what it has in memory;
//! so does this. It saves the locks and the look-up of a read transaction, a fifth of the cost of answering a pull.
//!
//! Without that file, or while the header is being changed, everything is read from the database.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::connection;
use super::manifests::StoredManifest;
use crate::sys::SharedWords;

/// The words of one copy of the header; the file starts with two.
const HEADER: usize = 12;
/// Holds the flag that says that there is a header, in one of its bytes.
const FLAGS: usize = 3;
/// Bytes of manifests that are kept at the most.
const CAPACITY: usize = 4 << 20;
/// Larger ones are not kept, for they would push many others out.
const LARGEST: usize = 256 << 10;
/// What is reckoned for a manifest besides its bytes.
const OVERHEAD: usize = 512;

/// A state of the database that can be told from all others.
pub(super) type State = [u32; HEADER];

pub(super) struct ManifestCache {
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
    /// For the database at `path`, to which this process holds a connection from now on: the index is made anew when the
    /// last one ends.
    pub(super) fn beside(path: &Path) -> Self {
        let index = File::open(connection::beside(path, "-shm")).and_then(SharedWords::new);
        if let Err(error) = &index {
            tracing::warn!(%error, "the log's index cannot be read: every pull will ask the database");
        }
        Self {
            index: index.ok(),
            kept: Mutex::default(),
        }
    }

    /// The manifest behind a reference, if it was read in that state.
    pub(super) fn get(
        &self,
        state: &State,
        repository: &str,
        reference: &str,
    ) -> Option<Arc<StoredManifest>> {
        self.kept.lock().get(state, repository, reference)
    }

    /// Keeps what was read since the database was in `state`, unless it has left that state meanwhile.
    pub(super) fn insert(
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

    /// The present state; `None` while a commit is changing it.
    pub(super) fn state(&self) -> Option<State> {
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
