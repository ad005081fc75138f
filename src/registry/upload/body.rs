//! Bodies of uploads, as the registry receives them.

use bytes::Bytes;
use futures_util::stream::Stream;

/// Cause of a body's early end.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Next part of a body.
pub enum Part {
    /// Bytes that have arrived.
    Bytes(Bytes),
    /// Source of the next bytes. The body goes on where it was dropped.
    Direct(Box<dyn DirectSource>),
}

/// Body of a request.
pub trait BodyStream: Stream<Item = Result<Part, BodyError>> + Send + Unpin + 'static {}
impl<S: Stream<Item = Result<Part, BodyError>> + Send + Unpin + 'static> BodyStream for S {}

/// Source of a body's next bytes, for a thread that may wait for them.
pub trait DirectSource: Send + 'static {
    /// Fills `buffer` and returns the number of bytes; fewer if no more arrive soon enough to wait for them. Blocks.
    fn fill(&mut self, buffer: &mut [u8]) -> usize;

    /// Number of bytes that [`Self::fill`] has yet to return, if the client sends all.
    fn rest(&self) -> u64;
}
