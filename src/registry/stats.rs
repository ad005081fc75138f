//! What the operations have done, for those who watch over the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::{Error, Registry, StoreUsage, Swept};
use crate::meta::{self, Idle, now};
use crate::telemetry::{Counter, Gauge, Histogram};
use crate::{blob, blocking};

/// A measurement of the store is good for so long, and for so many times as long as it took: it counts through what it sums.
const FRESH: Duration = Duration::from_secs(15);
const REST: u32 = 100;
/// How long the first one is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of collection, counted since the process began.
#[derive(Debug)]
pub struct Collection {
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

impl Default for Collection {
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

impl Collection {
    pub(super) fn count(&self, start: Instant, outcome: &Result<Swept, Error>) {
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

/// What the operations of one registry have done.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) collection: Collection,
    measured: ArcSwapOption<Measured>,
    is_measuring: AtomicBool,
}

/// What the store took when it was last looked through.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub usage: StoreUsage,
    pub idle: Idle,
    taken: Instant,
    cost: Duration,
}

impl Measured {
    /// How long ago that was.
    pub fn age(&self) -> Duration {
        self.taken.elapsed()
    }

    fn is_fresh(&self) -> bool {
        self.age() < FRESH.max(self.cost * REST)
    }
}

impl Registry {
    pub fn collection(&self) -> &Collection {
        &self.stats.collection
    }

    pub fn database_stats(&self) -> &meta::Stats {
        self.meta.stats()
    }

    pub fn file_stats(&self) -> &blob::Stats {
        self.blobs.stats()
    }

    /// Of the whole process.
    pub fn blocking_stats(&self) -> &'static blocking::Tasks {
        &blocking::TASKS
    }

    /// Bytes that may still be written to the disk.
    pub fn free_disk(&self) -> Option<u64> {
        self.blobs.free_bytes().ok()
    }

    /// What the store takes, as it was a while ago: whoever asks waits for no look through it but, shortly, the first. Looking
    /// takes a hundredth of the time at the most, however often somebody asks.
    pub async fn measured(&self) -> Option<Arc<Measured>> {
        let known = self.stats.measured.load_full();
        if known.as_ref().is_some_and(|known| known.is_fresh())
            || self.stats.is_measuring.swap(true, Ordering::Relaxed)
        {
            return known;
        }
        let registry = self.clone();
        let measuring = tokio::spawn(async move {
            match registry.measure().await {
                Ok(measured) => registry.stats.measured.store(Some(Arc::new(measured))),
                Err(error) => tracing::warn!(%error, "what the store takes could not be measured"),
            }
            registry.stats.is_measuring.store(false, Ordering::Relaxed);
        });
        if known.is_none() {
            let _ = tokio::time::timeout(PATIENCE, measuring).await;
        }
        self.stats.measured.load_full()
    }

    async fn measure(&self) -> Result<Measured, Error> {
        let taken = Instant::now();
        let usage = self.store_usage().await?;
        let cutoff = now().saturating_sub(self.settings().retention.hold());
        let idle = self.scan(move |meta| meta.idle_bytes(cutoff)).await?;
        Ok(Measured {
            usage,
            idle,
            taken,
            cost: taken.elapsed(),
        })
    }
}
