//! Counts and durations of reads and commits.

use crate::telemetry::{Counter, Gauge, Histogram};

/// Buckets for the number of changes in a commit.
const CHANGES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];

/// Counters since the process started.
#[derive(Debug)]
pub struct Stats {
    /// Changes queued or being made.
    pub queued: Gauge,
    /// Changes in each commit.
    pub batches: Histogram,
    /// Durations of durable transactions, including their commits.
    pub transactions: Histogram,
    /// Durations of the directory syncs within.
    pub directory_syncs: Histogram,
    /// Durations of the commits within, including the sync of the log.
    pub commits: Histogram,
    /// Commits without a sync, of changes that no client waits for.
    pub lazy_commits: Counter,
    pub failed_commits: Counter,
    /// Requests for a manifest.
    pub manifests_read: Counter,
    /// Those answered from memory.
    pub manifests_remembered: Counter,
    /// Those that failed.
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
