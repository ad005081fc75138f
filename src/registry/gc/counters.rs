//! Counters of garbage collection.

use std::time::Instant;

use crate::meta::now;
use crate::registry::error::Error;
use crate::registry::gc::swept::SweepCounts;
use crate::telemetry::{Counter, Gauge, Histogram};

/// Of collection, counted since the process began.
#[derive(Debug)]
pub struct GcCounters {
    /// Passes that came to their end.
    pub passes: Counter,
    /// Passes that did not.
    pub failed: Counter,
    /// How long each took.
    pub times: Histogram,
    /// When the last one came to its end, in milliseconds since 1970; 0 before that.
    pub last: Gauge,
    pub tags: Counter,
    pub manifests: Counter,
    pub links: Counter,
    pub blobs: Counter,
    pub files: Counter,
    /// Of those files.
    pub bytes: Counter,
    /// Upload sessions that were over.
    pub uploads: Counter,
    /// Things that could not be collected.
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
    pub(in crate::registry) fn count(&self, start: Instant, outcome: &Result<SweepCounts, Error>) {
        self.times.observe_time(start.elapsed());
        let Ok(swept) = outcome else {
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
