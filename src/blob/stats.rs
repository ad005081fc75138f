//! What has been done to files, and how long that took.

use crate::telemetry::Histogram;

/// What is done to the store, by the names that distribution has for it (`storagedriver.StorageDriver`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening a blob to be read.
    Reader,
    /// Opening an upload to be written to.
    Writer,
    /// Looking at a file.
    Stat,
    /// Listing uploads.
    List,
    /// Giving an upload the name of its blob.
    Move,
    Delete,
}

impl Operation {
    pub const ALL: [Self; 6] = [
        Self::Reader,
        Self::Writer,
        Self::Stat,
        Self::List,
        Self::Move,
        Self::Delete,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "Reader",
            Self::Writer => "Writer",
            Self::Stat => "Stat",
            Self::List => "List",
            Self::Move => "Move",
            Self::Delete => "Delete",
        }
    }
}

/// Counted since the process began.
#[derive(Debug)]
pub struct Stats {
    operations: [Histogram; Operation::ALL.len()],
    /// Syncs of the bytes of uploads.
    pub file_syncs: Histogram,
}

impl Stats {
    /// How long each operation of this kind took.
    pub fn operation(&self, operation: Operation) -> &Histogram {
        &self.operations[operation as usize]
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            operations: Operation::ALL.map(|_| Histogram::of_times()),
            file_syncs: Histogram::of_times(),
        }
    }
}
