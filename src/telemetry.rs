//! Counters for every layer. An update is one atomic instruction, and does not depend on any reader.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bucket bounds of durations, in nanoseconds: from 100 µs to 60 s.
pub const TIMES: &[u64] = &[
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    25_000_000_000,
    60_000_000_000,
];

/// Value that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Value that rises and falls.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Ordering::Relaxed);
    }

    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Distribution of sizes or durations.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One bucket more than there are bounds, for what exceeds them all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// Content of a histogram at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Bound (inclusive) and number of values of each bucket; the last has no bound.
    pub counts: Vec<(Option<u64>, u64)>,
    pub sum: u64,
}

impl Histogram {
    /// Creates a histogram with these bounds, in rising order.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::default()).collect(),
            sum: AtomicU64::default(),
        }
    }

    /// Creates a histogram of durations, in nanoseconds.
    pub fn of_times() -> Self {
        Self::new(TIMES)
    }

    pub fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Runs `work` and observes how long it takes.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        self.observe_time(start.elapsed());
        done
    }

    pub fn snapshot(&self) -> Snapshot {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        Snapshot {
            counts: bounds
                .zip(
                    self.counts
                        .iter()
                        .map(|count| count.load(Ordering::Relaxed)),
                )
                .collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

impl Snapshot {
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_value_in_its_bucket() {
        let histogram = Histogram::new(&[10, 20]);
        [0, 10, 11, 20, 21, 1000]
            .into_iter()
            .for_each(|value| histogram.observe(value));
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.counts, [(Some(10), 2), (Some(20), 2), (None, 2)]);
        assert_eq!((snapshot.count(), snapshot.sum), (6, 1062));
    }
}
