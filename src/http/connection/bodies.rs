//! Bodies of requests and responses, as a connection tracks them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use jiff::fmt::friendly::SpanPrinter;
use tokio::time::{Sleep, sleep};

use crate::http::connection::sendfile::ConnectionState;

/// Request body that tells its connection when it has been read, and fails if the client stalls.
pub(crate) struct RequestBody {
    inner: axum::body::Body,
    state: ConnectionState,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    /// Tracks `body` on its connection, unless it is empty; the client may stall for `patience`.
    pub(crate) fn wrap(
        body: axum::body::Body,
        state: &ConnectionState,
        patience: Duration,
    ) -> axum::body::Body {
        let is_unread = !body.is_end_stream();
        state.set_unread(is_unread);
        if !is_unread {
            return body;
        }
        axum::body::Body::new(Self {
            inner: body,
            state: state.clone(),
            patience,
            stalled: None,
        })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.stalled = None;
            if frame.is_none() || self.inner.is_end_stream() {
                self.state.set_unread(false);
            }
            return Poll::Ready(frame);
        }
        let patience = self.patience;
        ready!(
            self.stalled
                .get_or_insert_with(|| Box::pin(sleep(patience)))
                .as_mut()
                .poll(cx)
        );
        let cause = format!(
            "the client sent nothing for {}",
            SpanPrinter::new().unsigned_duration_to_string(&patience)
        );
        Poll::Ready(Some(Err(axum::Error::new(io::Error::new(
            io::ErrorKind::TimedOut,
            cause,
        )))))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

/// Response body that drops `T` once hyper has it all, and `K` once the client has it or it is abandoned.
pub(crate) struct ResponseBody<T, K = ()> {
    inner: axum::body::Body,
    guard: Option<T>,
    _kept: K,
}

impl<T> ResponseBody<T> {
    pub(crate) fn new(inner: axum::body::Body, guard: T) -> Self {
        Self {
            inner,
            guard: Some(guard),
            _kept: (),
        }
    }

    pub(crate) fn keeping<K>(self, kept: K) -> ResponseBody<T, K> {
        ResponseBody {
            inner: self.inner,
            guard: self.guard,
            _kept: kept,
        }
    }
}

impl<T: Unpin, K: Unpin> Body for ResponseBody<T, K> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_none() || self.inner.is_end_stream() {
            // explicitly, because hyper may begin the next request before it drops this body
            self.guard = None;
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}
