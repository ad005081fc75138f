//! Counters of mirrors, for monitoring.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::oci::{RepositoryName, TagName};
use crate::registry::AdoptionRow;
use crate::telemetry::Counter;

/// Maximum number of tags that are remembered as gone.
pub(super) const MOST_GONE: usize = 1 << 16;

/// Counters of one mirror.
#[derive(Debug, Default)]
pub struct MirrorCounters {
    /// Pulls that were answered.
    pub pulls: Counter,
    /// Pulls that were served with what is here, although the upstream failed or has it no more.
    pub stale: Counter,
    /// Runs that fetched ahead everything that they name.
    pub whole_syncs: Counter,
    /// Runs that could not bring something.
    pub partial_syncs: Counter,
    /// Runs that did not go through.
    pub failed_syncs: Counter,
    /// Counts that were recorded last: pulls, stale ones, fetches and their bytes.
    recorded: Mutex<[u64; 4]>,
    gone: Mutex<HashSet<(RepositoryName, TagName)>>,
    /// Progress of its adoption a short time ago.
    adoption: Mutex<Option<AdoptionRow>>,
}

impl MirrorCounters {
    /// Number of tags that are here, and that the upstream was last asked for in vain.
    pub fn gone_tags(&self) -> usize {
        self.gone.lock().len()
    }

    /// Returns how far its adoption was a short time ago.
    pub fn adoption(&self) -> Option<AdoptionRow> {
        self.adoption.lock().clone()
    }

    pub(super) fn note_adoption(&self, row: Option<AdoptionRow>) {
        *self.adoption.lock() = row;
    }

    /// Notes what is recorded now, and returns what was recorded before.
    pub(super) fn record(&self, counts: [u64; 4]) -> [u64; 4] {
        std::mem::replace(&mut *self.recorded.lock(), counts)
    }

    /// Marks a tag as gone upstream; true if it was not.
    pub fn mark_gone(&self, name: &RepositoryName, tag: &TagName) -> bool {
        let mut gone = self.gone.lock();
        gone.len() < MOST_GONE && gone.insert((name.clone(), tag.clone()))
    }

    /// Takes the mark from a tag that the upstream has; true if it had one.
    pub fn mark_present(&self, name: &RepositoryName, tag: &TagName) -> bool {
        let mut gone = self.gone.lock();
        !gone.is_empty() && gone.remove(&(name.clone(), tag.clone()))
    }
}
