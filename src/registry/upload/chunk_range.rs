//! The byte range of a chunk.

/// Byte range of a chunk within the upload, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRange {
    pub first: u64,
    pub last: u64,
}

impl ChunkRange {
    /// Reports whether the chunk begins where an upload of `received` bytes ends.
    pub(super) fn continues(self, received: u64) -> bool {
        self.first == received
    }

    /// Reports whether an upload of `received` bytes can be closed with this range.
    ///
    /// Some clients close it with the range of what they have sent before, and no content.
    pub(super) fn can_close(self, received: u64) -> bool {
        self.continues(received) || self.last.checked_add(1) == Some(received)
    }

    /// Length in bytes; 0 if `last` is the byte before `first`, as some clients announce an empty
    /// chunk.
    pub(super) fn length(self) -> u64 {
        self.last.saturating_add(1).saturating_sub(self.first)
    }
}
