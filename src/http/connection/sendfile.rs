//! Sending blobs without copying them, through an unmodified hyper.
//!
//! The body of a large blob yields slices of a [`Mapping`](crate::sys::Mapping) of its file, which is never read. They
//! travel through hyper as any bytes would and come out here, as the buffers of a vectored write on the connection's
//! stream. A buffer that lies inside the mapping registered for this connection is not written: `sendfile` is called
//! for the same bytes of the file. Everything else takes the usual way, and so would the slices, correctly, if this
//! were removed.
//!
//! The registration holds the mapping itself, so that its addresses cannot come to mean something else, and ends once
//! the response is flushed.
//!
//! While no request is being answered, hyper writes only its own rejections of requests that it could not parse, without
//! a body. The stream replaces them with errors that name the cause (`raw_error.rs`).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::http::connection::h2_heads::H2Heads;
use crate::http::connection::head_budget::{Head, Size};
use crate::http::connection::head_timer::HeadTimer;
use crate::http::connection::lending::{Lender, Lending};
use crate::http::connection::raw_error;
use crate::http::connection::stream::Stream;
use crate::http::response::extra_headers::ExtraHeaders;
use crate::registry::BlobFile;

/// Time for which a connection that closes after an error still reads what the client was sending: closing at once
/// would reset it, and the client would never see the response.
const LINGER: Duration = Duration::from_secs(2);

/// State that a request's handler shares with its connection. One connection sends one response at a time.
#[derive(Clone, Default)]
pub(crate) struct ConnectionState(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// True if the connection can send from files.
    sends_files: bool,
    /// File whose mapping the current response is made of.
    region: Mutex<Option<Region>>,
    /// True if the body of the current request was not read to its end.
    is_unread: AtomicBool,
    /// Number of writes that have succeeded.
    writes: AtomicU64,
    /// Number of responses that hyper has not received whole. A count, because hyper may drop the body of one only
    /// after the next has begun.
    unsent: AtomicUsize,
    /// True from a request to the flush of its response.
    is_answering: AtomicBool,
    /// Number of requests so far.
    requests: AtomicUsize,
    lending: Lending,
}

struct Region {
    mapping: Bytes,
    file: Arc<BlobFile>,
}

/// Guard of a response, from the request until hyper has received it whole.
pub(crate) struct ResponseGuard(ConnectionState);

impl ConnectionState {
    /// Creates the state of a connection over `stream`.
    pub(crate) fn new(stream: &Stream) -> Self {
        Self(Arc::new(Shared {
            sends_files: stream.sends_files(),
            ..Shared::default()
        }))
    }

    /// Reports whether a mapping is worth registering.
    pub(crate) fn sends_files(&self) -> bool {
        self.0.sends_files
    }

    /// Agreement of the connection and its request's body about the socket.
    pub(super) fn lending(&self) -> &Lending {
        &self.0.lending
    }

    fn region(&self) -> MutexGuard<'_, Option<Region>> {
        self.0.region.lock()
    }

    /// Records whether the body of the current request has unread data. A connection that closes with some reads on for
    /// a while.
    pub(crate) fn set_unread(&self, is_unread: bool) {
        self.0.is_unread.store(is_unread, Ordering::Relaxed);
    }

    pub(crate) fn is_unread(&self) -> bool {
        self.0.is_unread.load(Ordering::Relaxed)
    }

    /// Returns the number of writes that have succeeded.
    pub(crate) fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Relaxed)
    }

    /// Begins a response.
    pub(crate) fn begin(&self) -> ResponseGuard {
        self.0.unsent.fetch_add(1, Ordering::Relaxed);
        self.0.is_answering.store(true, Ordering::Relaxed);
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        ResponseGuard(self.clone())
    }

    fn is_answering(&self) -> bool {
        self.0.is_answering.load(Ordering::Relaxed)
    }

    fn requests(&self) -> usize {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Announces that slices of `mapping`, a view of all of `file`, are about to be written in this response.
    pub(crate) fn register(&self, mapping: Bytes, file: Arc<BlobFile>) {
        *self.region() = Some(Region { mapping, file });
    }

    /// Returns the file and the offset in it that `buffer` is a view of.
    fn find(&self, buffer: &[u8]) -> Option<(Arc<BlobFile>, u64)> {
        let region = self.region();
        let region = region.as_ref()?;
        let offset = buffer
            .as_ptr()
            .addr()
            .checked_sub(region.mapping.as_ptr().addr())?;
        let is_inside = !buffer.is_empty() && offset + buffer.len() <= region.mapping.len();
        is_inside.then(|| (Arc::clone(&region.file), offset as u64))
    }

    /// Ends the response, if hyper has received it whole: everything has been written.
    fn flushed(&self) {
        if self.0.unsent.load(Ordering::Relaxed) == 0
            && self.0.is_answering.swap(false, Ordering::Relaxed)
        {
            *self.region() = None;
        }
    }
}

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        self.0.0.unsent.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connection of a client: sends from files, and closes gracefully.
pub(crate) struct Connection {
    stream: Stream,
    state: ConnectionState,
    /// Headers that errors carry as well.
    headers: ExtraHeaders,
    lingering: Option<Pin<Box<Sleep>>>,
    timer: HeadTimer,
    head: Head,
    /// Heads that arrive over HTTP/2.
    h2: Option<H2Heads>,
    /// Unwritten rest of the error that replaces hyper's.
    raw_error: Option<Bytes>,
    lender: Lender,
}

impl Connection {
    pub(crate) fn new(
        stream: Stream,
        state: ConnectionState,
        headers: ExtraHeaders,
        timer: HeadTimer,
        head: Head,
    ) -> Self {
        Self {
            stream,
            state,
            headers,
            lingering: None,
            timer,
            head,
            h2: None,
            raw_error: None,
            lender: Lender::default(),
        }
    }

    /// Limits unfinished heads of HTTP/2, too.
    pub(crate) fn with_h2(self) -> Self {
        Self {
            h2: Some(H2Heads::default()),
            ..self
        }
    }

    /// Writes the registry's error instead of hyper's, which comes in one piece and counts as written when that is
    /// done.
    fn poll_write_raw_error(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let raw_error = self.raw_error.get_or_insert_with(|| {
            // the client may send more, and its end is unknown
            self.state.set_unread(true);
            raw_error::replacing_hyper(buffers.first().map_or(&[], |buffer| buffer), &self.headers)
        });
        while raw_error.has_remaining() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, raw_error))?;
            raw_error.advance(written);
        }
        Poll::Ready(Ok(buffers.iter().map(|buffer| buffer.len()).sum()))
    }

    /// Limits the unfinished head `number`, of the given size, before more of it is read.
    fn limit_head(&mut self, number: usize, size: &Size) -> io::Result<()> {
        match size {
            Size::Ordinary => {}
            Size::Large => self.timer.became_large(number),
            Size::Excessive => {
                let cause = "unfinished heads of all connections take too much memory";
                return Err(io::Error::other(cause));
            }
        }
        Ok(())
    }

    fn poll_read_h2(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let unfinished = |this: &Self| this.h2.as_ref().and_then(H2Heads::unfinished);
        if let Some(number) = unfinished(self) {
            // always the same: the scanner tells the head when it is complete
            let size = self.head.wait_for(0);
            self.limit_head(number, &size)?;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some(heads) = &mut self.h2 {
            heads.arrived(&buffer.filled()[before..], &mut self.head);
        }
        if let Some(number) = unfinished(self) {
            if buffer.filled().len() > before {
                self.timer.arrived(number);
            }
            if read.is_pending() && self.timer.poll_late(number, cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }

    fn poll_write_out(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.state.is_answering() {
            return self.poll_write_raw_error(cx, buffers);
        }
        if self.h2.is_none() {
            self.head.finish();
        }
        let buffers = &buffers[buffers
            .iter()
            .take_while(|buffer| buffer.is_empty())
            .count()..];
        if let Some(first) = buffers.first()
            && let Some((file, offset)) = self.state.find(first)
        {
            return self.stream.poll_send_file(cx, &file, offset, first.len());
        }
        let plain = buffers
            .iter()
            .take_while(|buffer| self.state.find(buffer).is_none())
            .count();
        Pin::new(&mut self.stream).poll_write_vectored(cx, &buffers[..plain])
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.h2.is_some() {
            return this.poll_read_h2(cx, buffer);
        }
        // bodies have limits of their own
        if this.state.is_answering() {
            this.head.finish();
            return this
                .lender
                .poll_read(this.state.lending(), &mut this.stream, cx, buffer);
        }
        let number = this.state.requests();
        let size = this.head.wait_for(number);
        this.limit_head(number, &size)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let arrived = buffer.filled().len() - before;
        if arrived > 0 {
            this.head.arrived(arrived);
            this.timer.arrived(number);
        }
        if read.is_pending() && this.timer.poll_late(number, cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(
            this.lender
                .poll_back(this.state.lending(), &mut this.stream, cx)
        )?;
        let written = ready!(this.poll_write_out(cx, buffers))?;
        this.state.0.writes.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes once its own buffers are empty, so they hold no slice of the mapping
        self.state.flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(
            this.lender
                .poll_back(this.state.lending(), &mut this.stream, cx)
        )?;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.state.is_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let deadline = this
            .lingering
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + LINGER)));
        let mut scratch = [0_u8; 8192];
        loop {
            if deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    // clients of HTTP/2 tell that they read on
                    if this.h2.is_some() {
                        deadline.as_mut().reset(Instant::now() + LINGER);
                    }
                }
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
