//! Progress of a take-over, during which the registry is not available to clients.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Progress of a take-over; clones share it.
#[derive(Clone, Default)]
pub struct ImportProgress(Arc<Counts>);

#[derive(Default)]
struct Counts {
    is_running: AtomicBool,
    has_failed: AtomicBool,
    repositories: AtomicU64,
    repositories_done: AtomicU64,
    manifests: AtomicU64,
    tags: AtomicU64,
    blobs: AtomicU64,
}

/// Numbers of what a take-over has recorded so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportCounts {
    /// Repositories of the other registry.
    pub repositories: u64,
    pub repositories_done: u64,
    pub manifests: u64,
    pub tags: u64,
    /// Links of blobs to repositories.
    pub blobs: u64,
    /// True if the last attempt failed; the log says why, and another one follows.
    pub has_failed: bool,
}

impl ImportProgress {
    /// Starts an attempt: the registry is not available until [`Self::finish`].
    pub fn begin(&self) {
        let counts = &self.0;
        for number in [
            &counts.repositories,
            &counts.repositories_done,
            &counts.manifests,
            &counts.tags,
            &counts.blobs,
        ] {
            number.store(0, Ordering::Relaxed);
        }
        counts.is_running.store(true, Ordering::Release);
    }

    /// Sets the number of repositories to be taken over.
    pub fn expect(&self, repositories: usize) {
        self.0.has_failed.store(false, Ordering::Relaxed);
        self.0
            .repositories
            .store(repositories as u64, Ordering::Relaxed);
    }

    /// Notes that the attempt has failed.
    pub fn fail(&self) {
        self.0.has_failed.store(true, Ordering::Relaxed);
    }

    /// Ends the take-over: the registry is available.
    pub fn finish(&self) {
        self.0.is_running.store(false, Ordering::Release);
    }

    /// Returns the numbers so far; `None` if no take-over is under way.
    pub fn running(&self) -> Option<ImportCounts> {
        self.0
            .is_running
            .load(Ordering::Acquire)
            .then(|| self.counts())
    }

    /// Returns the numbers of the last attempt.
    pub fn counts(&self) -> ImportCounts {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        ImportCounts {
            repositories: get(&self.0.repositories),
            repositories_done: get(&self.0.repositories_done),
            manifests: get(&self.0.manifests),
            tags: get(&self.0.tags),
            blobs: get(&self.0.blobs),
            has_failed: self.0.has_failed.load(Ordering::Relaxed),
        }
    }

    pub(super) fn add_repository(&self) {
        self.0.repositories_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_manifests(&self, more: usize) {
        self.0.manifests.fetch_add(more as u64, Ordering::Relaxed);
    }

    pub(super) fn add_tags(&self, more: usize) {
        self.0.tags.fetch_add(more as u64, Ordering::Relaxed);
    }

    pub(super) fn add_blobs(&self, more: usize) {
        self.0.blobs.fetch_add(more as u64, Ordering::Relaxed);
    }
}

/// Reads after "taking over the store of registry:2: ".
impl fmt::Display for ImportCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} repositories, {} manifests, {} tags",
            self.repositories_done, self.repositories, self.manifests, self.tags
        )?;
        if self.has_failed {
            write!(
                f,
                "; it has failed and is tried again: the registry's log says why"
            )?;
        }
        Ok(())
    }
}
