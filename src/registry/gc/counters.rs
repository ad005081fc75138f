//! Counters of garbage collection.

use std::time::Instant;

use crate::meta::now;
use crate::registry::gc::sweep_counts::SweepCounts;
use crate::telemetry::{Counter, Gauge, Histogram};

/// Counters of garbage collection since the process started.
#[derive(Debug)]
pub struct GcCounters {
    /// Sweeps that completed.
    pub passes: Counter,
    /// Sweeps that failed.
    pub failed: Counter,
    /// Duration of each sweep.
    pub times: Histogram,
    /// End of the last sweep, in milliseconds since 1970; 0 before the first.
    pub last: Gauge,
    pub tags: Counter,
    pub manifests: Counter,
    pub links: Counter,
    pub blobs: Counter,
    pub files: Counter,
    /// Bytes of the removed files.
    pub bytes: Counter,
    /// Expired upload sessions that were removed.
    pub uploads: Counter,
    /// Items that could not be collected.
    pub failures: Counter,
}

impl Default for GcCounters {
    fn default() -> Self {
        let counter = Counter::default;
        Self {
            passes: counter(),
            failed: counter(),
            times: Histogram::of_times(),
            last: Gauge::new(),
            tags: counter(),
            manifests: counter(),
            links: counter(),
            blobs: counter(),
            files: counter(),
            bytes: counter(),
            uploads: counter(),
            failures: counter(),
        }
    }
}

impl GcCounters {
    pub(in crate::registry) fn count(&self, start: Instant, swept: Option<SweepCounts>) {
        self.times.observe_time(start.elapsed());
        let Some(swept) = swept else {
            return self.failed.add(1);
        };
        self.passes.add(1);
        self.last.set(now());
        let counts = [
            (&self.tags, swept.tags),
            (&self.manifests, swept.manifests),
            (&self.links, swept.links),
            (&self.blobs, swept.blobs),
            (&self.files, swept.files),
            (&self.bytes, swept.bytes),
            (&self.failures, swept.failures),
        ];
        counts
            .into_iter()
            .for_each(|(counter, more)| counter.add(more));
    }
}
