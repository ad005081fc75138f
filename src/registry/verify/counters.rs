//! Counters of verification.

use crate::meta::Millis;
use crate::registry::verify::finding::Verification;
use crate::telemetry::{Counter, Gauge};

/// Counters of verification since the process started.
#[derive(Debug, Default)]
pub struct VerifyCounters {
    /// Sound blobs that were read.
    pub blobs: Counter,
    /// Size of those blobs, in bytes.
    pub bytes: Counter,
    /// Runs that were finished.
    pub runs: Counter,
    /// Runs that failed.
    pub failed: Counter,
    /// End of the last run of a server, in milliseconds since 1970; 0 before the first.
    pub last: Gauge,
    /// Number of findings of that run.
    pub damaged: Gauge,
}

impl VerifyCounters {
    pub(in crate::registry) fn count(&self, size: u64) {
        self.blobs.add(1);
        self.bytes.add(size);
    }

    pub(super) fn finish(&self, verified: &Verification, at: Millis) {
        self.runs.add(1);
        self.note(verified.damaged, at);
    }

    pub(super) fn note(&self, damaged: u64, at: Millis) {
        self.damaged.set(i64::try_from(damaged).unwrap_or(i64::MAX));
        self.last.set(at);
    }
}
