//! The last measurement of the store's size.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::meta::{DatabaseSize, Idle, Quarantined, Totals};

/// Minimum validity of a measurement.
///
/// It stays valid for at least [`REST`] times its cost, because it counts everything that it sums.
const FRESH: Duration = Duration::from_secs(15);
const REST: u32 = 100;

/// The last measurement of the store.
#[derive(Debug, Default)]
pub(in crate::registry) struct Measurements {
    pub last: ArcSwapOption<StoreMeasurement>,
    pub is_measuring: AtomicBool,
}

/// Size of the store at the time of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct StoreMeasurement {
    pub usage: StoreUsage,
    pub idle: Idle,
    pub quarantined: Quarantined,
    pub(super) taken: Instant,
    pub(super) cost: Duration,
}

impl StoreMeasurement {
    /// Time since the measurement.
    pub fn age(&self) -> Duration {
        self.taken.elapsed()
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.age() < FRESH.max(self.cost * REST)
    }
}

/// Size of the whole store, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreUsage {
    pub totals: Totals,
    /// Bytes of upload files.
    pub upload_bytes: u64,
    pub database: DatabaseSize,
    /// Free bytes on the disk.
    pub free_disk: u64,
}
