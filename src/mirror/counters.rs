//! Counters of mirrors, for monitoring.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::oci::{RepositoryName, TagName};
use crate::registry::AdoptionRow;
use crate::telemetry::Counter;

/// Maximum number of tags that are remembered as gone.
const TAGS: usize = 1 << 16;

/// Counters of one mirror.
#[derive(Debug, Default)]
pub struct MirrorCounters {
    /// Pulls that were answered.
    pub pulls: Counter,
    /// Pulls that were served with what is here, although the upstream failed or has it no more.
    pub stale: Counter,
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

    /// Marks a tag as gone upstream.
    pub(super) fn mark_gone(&self, name: &RepositoryName, tag: &TagName) {
        let mut gone = self.gone.lock();
        if gone.len() < TAGS {
            gone.insert((name.clone(), tag.clone()));
        }
    }

    /// Takes the mark from a tag that the upstream has.
    pub(super) fn mark_present(&self, name: &RepositoryName, tag: &TagName) {
        let mut gone = self.gone.lock();
        if !gone.is_empty() {
            gone.remove(&(name.clone(), tag.clone()));
        }
    }
}
