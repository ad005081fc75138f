//! What the operations have done, for those who watch over the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::meta::{self, now};
use crate::registry::error::Error;
use crate::registry::gc::counters::Collection;
use crate::registry::report::measurement::Measured;
use crate::registry::service::Registry;
use crate::{blob, blocking};

/// How long the first one is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

impl Registry {
    pub fn collection(&self) -> &Collection {
        &self.collection
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
        let known = self.measurements.last.load_full();
        if known.as_ref().is_some_and(|known| known.is_fresh())
            || self.measurements.is_measuring.swap(true, Ordering::Relaxed)
        {
            return known;
        }
        let registry = self.clone();
        let measuring = tokio::spawn(async move {
            match registry.measure().await {
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
        self.measurements.last.load_full()
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
