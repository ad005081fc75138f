//! The times and the speed of verifications.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::blob::{BlobStore, Priority};

/// Bytes of a MiB.
const MEBIBYTE: f64 = 1_048_576.0;
/// Time of rest for each time of work, in the background.
const BACKGROUND_REST: u32 = 9;
/// Maximum time for which background work waits for requests to end before it reads a piece all the same.
const PATIENCE: Duration = Duration::from_secs(1);
/// Minimum time of rest.
const MIN_REST: Duration = Duration::from_millis(10);
/// Interval between two looks at whether requests use the disk.
const LOOK: Duration = Duration::from_millis(20);

/// Schedule of the server's own verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifySchedule {
    pub enabled: bool,
    /// Time from the end of a run to the next one.
    pub every: Duration,
}

impl Default for VerifySchedule {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// Speed of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Half of the disk's time.
    Half,
    /// All of the disk's time, and half of it while requests use the disk.
    Yielding,
    /// At most this many MiB per second.
    MebibytesPerSecond(NonZeroU64),
    /// A tenth of the disk's time, as far as no request uses the disk.
    Background,
}

impl Pace {
    /// Returns the priority of reading at this pace.
    pub(super) fn priority(self) -> Priority {
        match self {
            Self::Yielding | Self::Background => Priority::Idle,
            Self::Half | Self::MebibytesPerSecond(_) => Priority::Normal,
        }
    }
}

/// Work at a pace, with the rest that it owes.
///
/// A timer is good for a millisecond, in which many small blobs are read: their rest is taken at once.
#[derive(Debug)]
pub(in crate::registry) struct Pacer {
    pace: Pace,
    owed: Duration,
}

impl Pacer {
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            owed: Duration::ZERO,
        }
    }

    pub(super) fn priority(&self) -> Priority {
        self.pace.priority()
    }

    /// Rests after work that took `worked` and read `bytes`, or lets that wait until it is worth it.
    pub(super) async fn rest(&mut self, blobs: &BlobStore, worked: Duration, bytes: u64) {
        match self.pace {
            Pace::Half => self.owed += worked,
            Pace::Yielding if blobs.is_in_use() => self.owed += worked,
            Pace::Yielding => self.owed = Duration::ZERO,
            Pace::MebibytesPerSecond(rate) => {
                let due = Duration::from_secs_f64(bytes as f64 / MEBIBYTE / rate.get() as f64);
                self.owed = (self.owed + due).saturating_sub(worked);
            }
            Pace::Background => self.owed += worked * BACKGROUND_REST,
        }
        if self.owed < MIN_REST {
            return;
        }
        tokio::time::sleep(std::mem::take(&mut self.owed)).await;
        if self.pace == Pace::Background {
            let mut waited = Duration::ZERO;
            while waited < PATIENCE && blobs.is_in_use() {
                tokio::time::sleep(LOOK).await;
                waited += LOOK;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::blob::UploadId;

    /// Time that a small blob takes.
    const PIECE: Duration = Duration::from_micros(100);

    fn store(directory: &tempfile::TempDir) -> BlobStore {
        let blobs = BlobStore::new(directory.path());
        blobs.prepare().unwrap();
        blobs
    }

    #[tokio::test]
    async fn small_pieces_rest_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = store(&directory);
        let mut pacer = Pacer::new(Pace::Half);
        let pieces = MIN_REST.as_micros() / PIECE.as_micros();
        for _ in 1..pieces {
            pacer.rest(&blobs, PIECE, 0).await;
        }
        assert_eq!(pacer.owed, MIN_REST - PIECE);
        let begun = Instant::now();
        pacer.rest(&blobs, PIECE, 0).await;
        assert!(begun.elapsed() >= MIN_REST && pacer.owed.is_zero());
    }

    #[tokio::test]
    async fn only_requests_make_a_yielding_pace_rest() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = store(&directory);
        let mut pacer = Pacer::new(Pace::Yielding);
        pacer.rest(&blobs, Duration::from_secs(3600), 0).await;
        assert!(pacer.owed.is_zero());
        let _in_use = blobs.open_upload(&UploadId::random()).unwrap();
        pacer.rest(&blobs, PIECE, 0).await;
        assert_eq!(pacer.owed, PIECE);
    }
}
