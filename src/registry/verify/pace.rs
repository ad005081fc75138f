//! The times and the speed of verifications.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::blob::BlobStore;

/// Bytes of a MiB.
const MEBIBYTE: f64 = 1_048_576.0;
/// Time of rest for each time of work, in the background.
const BACKGROUND_REST: u32 = 9;
/// Maximum time for which background work waits for requests to end before it reads a piece all the same.
const PATIENCE: Duration = Duration::from_secs(1);
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
    /// At most this many MiB per second.
    MebibytesPerSecond(NonZeroU64),
    /// A tenth of the disk's time, as far as no request uses the disk.
    Background,
}

impl Pace {
    /// Rests after work that took `worked` and read `bytes`.
    pub(super) async fn rest(self, blobs: &BlobStore, worked: Duration, bytes: u64) {
        match self {
            Self::Half => tokio::time::sleep(worked).await,
            Self::MebibytesPerSecond(rate) => {
                let due = Duration::from_secs_f64(bytes as f64 / MEBIBYTE / rate.get() as f64);
                tokio::time::sleep(due.saturating_sub(worked)).await;
            }
            Self::Background => {
                tokio::time::sleep(worked * BACKGROUND_REST).await;
                let mut waited = Duration::ZERO;
                while waited < PATIENCE && blobs.is_in_use() {
                    tokio::time::sleep(LOOK).await;
                    waited += LOOK;
                }
            }
        }
    }
}
