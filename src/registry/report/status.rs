//! What the operations have done, for those who watch over the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::meta::{self, now};
use crate::registry::error::Error;
use crate::registry::gc::counters::GcCounters;
use crate::registry::report::measurement::StoreMeasurement;
use crate::registry::slices::Status;
use crate::{blob, blocking};

/// How long the first one is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

impl<'r> Status<'r> {
    pub fn gc(self) -> &'r GcCounters {
        &self.registry.collection
    }

    pub fn database(self) -> &'r meta::Stats {
        self.registry.meta.stats()
    }

    pub fn files(self) -> &'r blob::Stats {
        self.registry.blobs.stats()
    }

    /// Of the whole process.
    pub fn blocking(self) -> &'static blocking::Tasks {
        &blocking::TASKS
    }

    /// Bytes that may still be written to the disk.
    pub fn free_disk(self) -> Option<u64> {
        self.registry.blobs.free_bytes().ok()
    }

    /// What the store takes, as it was a while ago: whoever asks waits for no look through it but, shortly, the first. Looking
    /// takes a hundredth of the time at the most, however often somebody asks.
    pub async fn store(self) -> Option<Arc<StoreMeasurement>> {
        let known = self.registry.measurements.last.load_full();
        if known.as_ref().is_some_and(|known| known.is_fresh())
            || self
                .registry
                .measurements
                .is_measuring
                .swap(true, Ordering::Relaxed)
        {
            return known;
        }
        let registry = self.registry.clone();
        let measuring = tokio::spawn(async move {
            match registry.status().measure_store().await {
                Ok(measured) => registry.measurements.last.store(Some(Arc::new(measured))),
                Err(error) => tracing::warn!(%error, "what the store takes could not be measured"),
            }
            registry
                .measurements
                .is_measuring
                .store(false, Ordering::Relaxed);
        });
        if known.is_none() {
            let _ = tokio::time::timeout(PATIENCE, measuring).await;
        }
        self.registry.measurements.last.load_full()
    }

    async fn measure_store(self) -> Result<StoreMeasurement, Error> {
        let taken = Instant::now();
        let usage = self.registry.reports().store_usage().await?;
        let cutoff = now().saturating_sub(self.registry.settings().retention.hold());
        let idle = self
            .registry
            .scan(move |meta| meta.idle_bytes(cutoff))
            .await?;
        Ok(StoreMeasurement {
            usage,
            idle,
            taken,
            cost: taken.elapsed(),
        })
    }
}
