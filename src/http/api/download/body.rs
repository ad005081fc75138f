//! Bodies made of parts of stored content and of memory, which hold no more than a window at a time.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::http::api::download::source::{Fetched, Source};
use crate::http::connection::send_budget::Windows;

/// Part of a body.
pub(crate) enum Part {
    Memory(Bytes),
    /// Range of the stored content.
    Stored(Range<u64>),
}

/// Parts of content, one after the other.
pub(crate) struct ContentBody {
    parts: Box<dyn Iterator<Item = Part> + Send>,
    /// Part, or its remainder, that waits for the budget.
    begun: Option<Part>,
    source: Source,
    windows: Windows,
    /// Bytes that remain; `None` while nobody knows how many.
    remaining: Option<u64>,
    loading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl ContentBody {
    /// Creates a body of `parts`, which have `length` bytes in total, if that is known.
    pub(crate) fn new(
        parts: impl Iterator<Item = Part> + Send + 'static,
        length: Option<u64>,
        source: Source,
    ) -> Self {
        Self {
            parts: Box::new(parts),
            begun: None,
            windows: source.windows(),
            source,
            remaining: length,
            loading: None,
        }
    }

    /// Takes the next window from the parts once the budget allows and its bytes are there.
    fn poll_window(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Fetched>>> {
        loop {
            let Some(part) = self.begun.take().or_else(|| self.parts.next()) else {
                return Poll::Ready(None);
            };
            if part.is_empty() {
                continue;
            }
            let Poll::Ready(window) = self.source.poll_window(&self.windows, cx) else {
                self.begun = Some(part);
                return Poll::Pending;
            };
            let range = match part {
                Part::Memory(bytes) => {
                    let held = self.source.hold(bytes, &self.windows);
                    return Poll::Ready(Some(Ok(Ok(held))));
                }
                Part::Stored(range) => range,
            };
            let end = match self.source.poll_end(&range, cx) {
                Poll::Ready(Ok(end)) => end.min(range.end).min(range.start + window),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => {
                    self.begun = Some(Part::Stored(range));
                    return Poll::Pending;
                }
            };
            // the end of content whose size was not known
            if end == range.start {
                continue;
            }
            self.begun = Some(Part::Stored(end..range.end));
            let fetched = self.source.fetch(range.start..end, &self.windows);
            return Poll::Ready(Some(Ok(fetched)));
        }
    }

    fn frame(&mut self, bytes: Bytes) -> Frame<Bytes> {
        if let Some(remaining) = &mut self.remaining {
            *remaining -= bytes.len() as u64;
        }
        Frame::data(bytes)
    }
}

impl Part {
    fn is_empty(&self) -> bool {
        match self {
            Self::Memory(bytes) => bytes.is_empty(),
            Self::Stored(range) => range.is_empty(),
        }
    }
}

impl Body for ContentBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.loading.is_none() {
            match ready!(this.poll_window(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(Ok(bytes))) => return Poll::Ready(Some(Ok(this.frame(bytes)))),
                Some(Ok(Err(task))) => this.loading = Some(task),
            }
        }
        let Some(task) = this.loading.as_mut() else {
            return Poll::Ready(None);
        };
        let loaded =
            ready!(Pin::new(task).poll(cx)).unwrap_or_else(|error| Err(io::Error::other(error)));
        this.loading = None;
        Poll::Ready(Some(loaded.map(|bytes| this.frame(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == Some(0)
    }
}
