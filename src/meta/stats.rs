//! What the database has been asked, and how long that took.

use crate::telemetry::{Counter, Gauge, Histogram};

/// How many changes there were in a commit.
const CHANGES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];

/// Counted since the process began.
#[derive(Debug)]
pub struct Stats {
    /// Changes that wait for the writer, or are being made.
    pub queued: Gauge,
    /// Changes in each commit.
    pub batches: Histogram,
    /// From the beginning of each transaction that is durable to the end of its commit.
    pub transactions: Histogram,
    /// Of that, making the names of new files durable.
    pub directory_syncs: Histogram,
    /// Of that, the commit, with the sync of the log.
    pub commits: Histogram,
    /// Commits of changes that nobody waits for, which are not synced.
    pub lazy_commits: Counter,
    pub failed_commits: Counter,
    /// Manifests that were asked for.
    pub manifests_read: Counter,
    /// Of those, what was in memory.
    pub manifests_remembered: Counter,
    /// Manifests that could not be read.
    pub manifests_failed: Counter,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            queued: Gauge::default(),
            batches: Histogram::new(CHANGES),
            transactions: Histogram::of_times(),
            directory_syncs: Histogram::of_times(),
            commits: Histogram::of_times(),
            lazy_commits: Counter::default(),
            failed_commits: Counter::default(),
            manifests_read: Counter::default(),
            manifests_remembered: Counter::default(),
            manifests_failed: Counter::default(),
        }
    }
}
