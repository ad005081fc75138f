//! Sending blobs without copying them, through an unmodified hyper.
//!
//! The body of a large blob yields slices of a [`Mapping`](crate::sys::Mapping) of its file, which nobody reads. They
//! travel through hyper as any bytes would and come out here, as the buffers of a vectored write on the connection's
//! stream. A buffer that lies inside the mapping registered for this connection is not written: `sendfile` is called
//! for the same bytes of the file. Everything else takes the usual way, and so would the slices, correctly, if this
//! were taken out.
//!
//! The registration holds the mapping itself, so that its addresses cannot come to mean something else, and ends once
//! the response is flushed.
//!
//! What hyper writes while no request is being answered is its own refusal of one that it could not read, without a
//! body. The stream sends one that says why in its place (`refusal.rs`).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::http::connection::raw_error;
use crate::http::connection::stream::Stream;
use crate::http::response::extra_headers::ExtraHeaders;
use crate::registry::BlobFile;

/// How long a connection that closes after a refusal goes on reading what the client was still sending: closing at once
/// would reset it, and the client would never see the answer.
const LINGER: Duration = Duration::from_secs(2);

/// What the handler of a request tells the connection it came over. One connection, one response at a time.
#[derive(Clone, Default)]
pub(crate) struct ConnectionState(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether the connection can send from files.
    sends_files: bool,
    /// The file whose mapping the current response is made of.
    region: Mutex<Option<Region>>,
    /// The current request has a body that was not read to its end.
    is_unread: AtomicBool,
    /// Requests whose answers have not been handed to hyper whole. Counted, because hyper may drop the body of one only
    /// after the next has begun.
    unsent: AtomicUsize,
    /// From a request to the flush of its answer.
    is_answering: AtomicBool,
}

struct Region {
    mapping: Bytes,
    file: Arc<BlobFile>,
}

/// A handler's turn to speak on its connection: from the request until hyper has the whole answer.
pub(crate) struct ResponseGuard(ConnectionState);

impl ConnectionState {
    /// A slot for a connection over `stream`.
    pub(crate) fn new(stream: &Stream) -> Self {
        Self(Arc::new(Shared {
            sends_files: stream.sends_files(),
            ..Shared::default()
        }))
    }

    /// Whether a mapping is worth registering.
    pub(crate) fn sends_files(&self) -> bool {
        self.0.sends_files
    }

    fn region(&self) -> MutexGuard<'_, Option<Region>> {
        self.0.region.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether there is more to be read of the current request. A connection that closes while there is reads on
    /// for a while.
    pub(crate) fn set_unread(&self, is_unread: bool) {
        self.0.is_unread.store(is_unread, Ordering::Relaxed);
    }

    pub(crate) fn is_unread(&self) -> bool {
        self.0.is_unread.load(Ordering::Relaxed)
    }

    /// Begins the turn of a request's handler.
    pub(crate) fn begin(&self) -> ResponseGuard {
        self.0.unsent.fetch_add(1, Ordering::Relaxed);
        self.0.is_answering.store(true, Ordering::Relaxed);
        ResponseGuard(self.clone())
    }

    fn is_answering(&self) -> bool {
        self.0.is_answering.load(Ordering::Relaxed)
    }

    /// Announces that slices of `mapping`, a view of all of `file`, are about to be written in this turn.
    pub(crate) fn register(&self, mapping: Bytes, file: Arc<BlobFile>) {
        *self.region() = Some(Region { mapping, file });
    }

    /// The file and the offset in it that `buffer` is a view of.
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

    /// Nothing that was handed over is unwritten: the turn that has ended, if one has, is over.
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

/// A client's connection: sends from files, and closes politely.
pub(crate) struct Connection {
    stream: Stream,
    state: ConnectionState,
    /// What goes with refusals as well.
    headers: ExtraHeaders,
    lingering: Option<Pin<Box<Sleep>>>,
    /// What is left to be written of the refusal that takes the place of hyper's.
    refusal: Option<Bytes>,
}

impl Connection {
    pub(crate) fn new(stream: Stream, state: ConnectionState, headers: ExtraHeaders) -> Self {
        Self {
            stream,
            state,
            headers,
            lingering: None,
            refusal: None,
        }
    }

    /// Writes the registry's refusal in the place of hyper's, which comes in one piece, and is taken once that is done.
    fn poll_refuse(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let refusal = self.refusal.get_or_insert_with(|| {
            // the client may have more to say, and nobody can tell where it ends
            self.state.set_unread(true);
            raw_error::in_place_of(buffers.first().map_or(&[], |buffer| buffer), &self.headers)
        });
        while refusal.has_remaining() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, refusal))?;
            refusal.advance(written);
        }
        Poll::Ready(Ok(buffers.iter().map(|buffer| buffer.len()).sum()))
    }

    fn poll_write_out(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.state.is_answering() {
            return self.poll_refuse(cx, buffers);
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
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
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
        self.get_mut().poll_write_out(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes once its own buffers are empty: no slice of the mapping is left in them
        self.state.flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
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
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
