//! Plan, progress and result of a backup.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::oci::Digest;
use crate::registry::IncompleteImages;
use crate::telemetry::Counter;

/// Work of a backup, counted ahead. Sizes are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupPlan {
    pub blobs: u64,
    pub size: u64,
    /// Blobs that the backup before does not have.
    pub new_blobs: u64,
    pub new_size: u64,
    /// The destination is on the disk of the data directory.
    pub is_same_disk: bool,
}

/// Progress of a backup, for whoever watches it.
#[derive(Clone, Debug, Default)]
pub struct BackupProgress {
    /// Bytes to copy; 0 before they are counted.
    expected: Arc<AtomicU64>,
    copied: Arc<Counter>,
}

/// Content of the data directory that is damaged or missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedContent {
    pub kind: DamagedKind,
    pub digest: Digest,
    /// Reason in words.
    pub problem: String,
    /// The backup has a sound file of it, which an earlier one had.
    pub is_kept: bool,
}

/// Kind of damaged content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamagedKind {
    Blob,
    Manifest,
}

impl DamagedKind {
    /// Returns its word in messages and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Manifest => "manifest",
        }
    }
}

/// Result of a backup. Sizes are in bytes.
#[derive(Clone, Debug, Default)]
pub struct BackupSummary {
    /// Directory of the backup.
    pub directory: PathBuf,
    pub blobs: u64,
    pub size: u64,
    pub copied: u64,
    pub copied_size: u64,
    /// Blobs that share the disk space of the data directory.
    pub shared: u64,
    pub database_size: u64,
    /// Content that is damaged or missing in the data directory, but for blobs that the backup has all the same.
    pub damaged: Vec<DamagedContent>,
    /// Images that lack content here, and so in the backup.
    pub incomplete: IncompleteImages,
    /// The backup is on the disk of the data directory.
    pub is_same_disk: bool,
    pub took: Duration,
}

impl BackupProgress {
    pub(in crate::backup) fn expect(&self, bytes: u64) {
        self.expected.store(bytes, Ordering::Relaxed);
    }

    pub(in crate::backup) fn counter(&self) -> Arc<Counter> {
        Arc::clone(&self.copied)
    }

    /// Returns the bytes copied so far, and the bytes to copy, as far as they are known.
    pub fn bytes(&self) -> (u64, u64) {
        (self.copied.get(), self.expected.load(Ordering::Relaxed))
    }
}
