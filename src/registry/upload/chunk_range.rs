//! The byte range of a chunk.

/// Byte range of a chunk within the upload, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRange {
    pub first: u64,
    pub last: u64,
}

impl ChunkRange {
    /// Length in bytes; 0 if `last` is the byte before `first`, as some clients announce an empty
    /// chunk.
    pub(super) fn length(self) -> u64 {
        self.last.saturating_add(1).saturating_sub(self.first)
    }
}
