//! Counters of the backups that a server makes.

use parking_lot::Mutex;

use crate::telemetry::{Counter, Gauge, Histogram};

/// Counters of backups since the process started.
#[derive(Debug)]
pub struct BackupCounters {
    pub completed: Counter,
    pub failed: Counter,
    /// Duration of each backup.
    pub times: Histogram,
    /// Bytes of blobs that were copied.
    pub copied_bytes: Counter,
    /// Damaged blobs and manifests that the last backup met.
    pub damaged: Gauge,
    /// Time of the newest backup, in milliseconds since 1970, also of one that another process has made; 0 if there is none.
    pub last: Gauge,
    state: Mutex<BackupState>,
}

/// State of the backups that a server makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackupState {
    /// None are configured, or none was due yet.
    #[default]
    Idle,
    Running,
    /// The last one is complete.
    Complete,
    /// The last one is complete but for content that is damaged.
    Damaged,
    /// The last one is complete, and has this number of images that lack content here too.
    Incomplete(u64),
    /// The last one failed.
    Failed,
}

impl Default for BackupCounters {
    fn default() -> Self {
        Self {
            completed: Counter::default(),
            failed: Counter::default(),
            times: Histogram::of_times(),
            copied_bytes: Counter::default(),
            damaged: Gauge::new(),
            last: Gauge::new(),
            state: Mutex::default(),
        }
    }
}

impl BackupCounters {
    pub fn state(&self) -> BackupState {
        *self.state.lock()
    }

    pub fn set_state(&self, state: BackupState) {
        *self.state.lock() = state;
    }
}
