//! The range of a chunk.

/// Where a chunk says it belongs: both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRange {
    pub first: u64,
    pub last: u64,
}

impl ChunkRange {
    /// In bytes; 0 where `last` is the byte before `first`, as some clients announce an empty chunk.
    pub(super) fn length(self) -> u64 {
        self.last.saturating_add(1).saturating_sub(self.first)
    }
}
