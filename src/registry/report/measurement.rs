//! The size of the store as it was measured last.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::meta::{DatabaseSize, Idle, Totals};

/// A measurement of the store is good for so long, and for so many times as long as it took: it counts through what it sums.
const FRESH: Duration = Duration::from_secs(15);
const REST: u32 = 100;

/// The last measurement of the store.
#[derive(Debug, Default)]
pub(in crate::registry) struct Measurements {
    pub last: ArcSwapOption<StoreMeasurement>,
    pub is_measuring: AtomicBool,
}

/// What the store took when it was last looked through.
#[derive(Clone, Copy, Debug)]
pub struct StoreMeasurement {
    pub usage: StoreUsage,
    pub idle: Idle,
    pub(super) taken: Instant,
    pub(super) cost: Duration,
}

impl StoreMeasurement {
    /// How long ago that was.
    pub fn age(&self) -> Duration {
        self.taken.elapsed()
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.age() < FRESH.max(self.cost * REST)
    }
}

/// What the whole store takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreUsage {
    pub totals: Totals,
    /// Of the files of uploads.
    pub upload_bytes: u64,
    pub database: DatabaseSize,
    /// What may still be written to the disk.
    pub free_disk: u64,
}
