//! Counts and durations of file operations.

use crate::telemetry::Histogram;

/// A kind of file operation, by distribution's names (`storagedriver.StorageDriver`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening a blob for reading.
    Reader,
    /// Opening an upload for writing.
    Writer,
    /// Reading a file's metadata.
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

/// Counters since the process started.
#[derive(Debug)]
pub struct Stats {
    operations: [Histogram; Operation::ALL.len()],
    /// Durations of syncs of upload files.
    pub file_syncs: Histogram,
}

impl Stats {
    /// Durations of operations of that kind.
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
