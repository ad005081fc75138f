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
    remaining: u64,
    loading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl ContentBody {
    /// Creates a body of `parts`, which have `length` bytes in total.
    pub(crate) fn new(
        parts: impl Iterator<Item = Part> + Send + 'static,
        length: u64,
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

    /// Takes the next window from the parts once the budget allows.
    fn poll_window(&mut self, cx: &mut Context<'_>) -> Poll<Option<Fetched>> {
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
            return Poll::Ready(Some(match part {
                Part::Memory(bytes) => Ok(self.source.hold(bytes, &self.windows)),
                Part::Stored(range) => {
                    let end = range.end.min(range.start + window);
                    self.begun = Some(Part::Stored(end..range.end));
                    self.source.fetch(range.start..end, &self.windows)
                }
            }));
        }
    }

    fn frame(&mut self, bytes: Bytes) -> Frame<Bytes> {
        self.remaining -= bytes.len() as u64;
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
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(this.frame(bytes)))),
                Some(Err(task)) => this.loading = Some(task),
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
        SizeHint::with_exact(self.remaining)
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }
}
