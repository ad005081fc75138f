//! Counters and sizes for monitoring.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::blob;
use crate::meta::{self, now};
use crate::registry::error::Error;
use crate::registry::facades::Status;
use crate::registry::gc::counters::GcCounters;
use crate::registry::report::measurement::StoreMeasurement;
use crate::registry::verify::counters::VerifyCounters;
use crate::telemetry::Counter;
use crate::threads::blocking;

/// Maximum wait for the first measurement.
const PATIENCE: Duration = Duration::from_secs(2);

impl<'r> Status<'r> {
    pub fn gc(self) -> &'r GcCounters {
        &self.registry.collection
    }

    pub fn verification(self) -> &'r VerifyCounters {
        &self.registry.verification
    }

    pub fn database(self) -> &'r meta::Stats {
        self.registry.meta.stats()
    }

    pub fn files(self) -> &'r blob::Stats {
        self.registry.blobs.stats()
    }

    /// Returns the counter of bytes that uploads with their own threads have received.
    pub fn direct_bytes(self) -> &'r Counter {
        self.registry.batches.direct_bytes()
    }

    /// Returns the number of blobs whose files were found lost, and not repaired since.
    pub fn lost_blobs(self) -> u64 {
        self.registry.lost_blobs.count()
    }

    /// Returns the counters of blocking tasks of the whole process.
    pub fn blocking(self) -> &'static blocking::Tasks {
        &blocking::TASKS
    }

    /// Returns the free space on the disk.
    pub fn free_space(self) -> Option<blob::FreeSpace> {
        self.registry.blobs.free_space().ok()
    }

    /// Returns the resource of the disk that has run out.
    pub fn disk_shortage(self) -> Option<blob::Shortage> {
        self.registry.blobs.find_shortage().ok().flatten()
    }

    /// Returns the last measurement of the store; starts a new one if it is stale.
    ///
    /// Only the first measurement is waited for, shortly. Measuring takes a hundredth of the time
    /// at most, however often it is requested.
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
                Err(error) => tracing::warn!(%error, "cannot measure the size of the store"),
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
        let cutoff = now().saturating_sub(self.registry.settings().retention.hold_period());
        let (idle, quarantined) = self
            .registry
            .scan(move |meta| Ok((meta.idle_bytes(cutoff)?, meta.quarantined()?)))
            .await?;
        Ok(StoreMeasurement {
            usage,
            idle,
            quarantined,
            taken,
            cost: taken.elapsed(),
        })
    }
}
