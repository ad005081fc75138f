//! Bodies of uploads, which borrow the socket of their connection while the client is fast.

use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream};
use bytes::Buf;
use futures_util::stream::Stream;
use http_body::Body as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::http::connection::lending::Lending;
use crate::http::connection::sendfile::ConnectionState;
use crate::registry::{BodyError, DirectSource, Part};
use crate::sys;

/// Number of bytes that arrive together from a fast client.
const FAST_READ: usize = 64 << 10;
/// Rest of a body from which on lending pays.
const MIN_REST: u64 = 2 << 20;
/// Number of bytes between two loans, so that a client that is fast for moments does not cost more.
const PAUSE: u64 = 8 << 20;
/// Time for a buffer to fill; a slower client's upload goes on without a thread.
const PATIENCE: Duration = Duration::from_millis(100);

/// Body of an upload, which borrows the socket while the client is fast.
pub(crate) struct UploadBody {
    inner: BodyDataStream,
    /// Connection that may lend its socket.
    connection: Option<ConnectionState>,
    /// Bytes of the body that have not arrived; 0 if its length is unknown.
    rest: u64,
    /// Bytes until the socket may be asked for.
    pause: u64,
    /// Bytes that came from the socket itself.
    received: Arc<AtomicU64>,
    /// The same that hyper has yet to pass on.
    untold: u64,
    wants: bool,
}

impl UploadBody {
    /// Wraps a request's body; a `connection` of HTTP/1 may lend its socket.
    pub(crate) fn new(body: Body, connection: Option<ConnectionState>) -> Self {
        Self {
            rest: body.size_hint().exact().unwrap_or(0),
            inner: body.into_data_stream(),
            connection,
            pause: 0,
            received: Arc::default(),
            untold: 0,
            wants: false,
        }
    }

    /// Takes note of a loan that has ended.
    fn settle(&mut self) {
        let received = self.received.swap(0, Ordering::Relaxed);
        self.rest -= received.min(self.rest);
        self.untold += received;
    }

    /// Notes a read of `length` bytes.
    fn arrived(&mut self, length: usize) {
        self.rest = self.rest.saturating_sub(length as u64);
        self.pause = self.pause.saturating_sub(length as u64);
        self.wants = length >= FAST_READ && self.pause == 0 && self.rest >= MIN_REST;
    }
}

impl Stream for UploadBody {
    type Item = Result<Part, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.settle();
        loop {
            if this.untold == 0 && this.inner.is_end_stream() {
                // at once: hyper tells the end only once it is polled again
                return Poll::Ready(None);
            }
            // before the poll: what hyper had left at the offer comes first
            let lending = this.connection.as_ref().map(ConnectionState::lending);
            let is_offered = lending.is_some_and(Lending::is_offered);
            match Pin::new(&mut this.inner).poll_next(cx) {
                Poll::Ready(Some(Ok(mut bytes))) => {
                    let told = bytes
                        .len()
                        .min(usize::try_from(this.untold).unwrap_or(usize::MAX));
                    bytes.advance(told);
                    this.untold -= told as u64;
                    if told > 0 && bytes.is_empty() {
                        continue;
                    }
                    this.arrived(bytes.len());
                    return Poll::Ready(Some(Ok(Part::Bytes(bytes))));
                }
                Poll::Ready(other) => {
                    return Poll::Ready(
                        other.map(|part| part.map(Part::Bytes).map_err(BodyError::from)),
                    );
                }
                Poll::Pending => {}
            }
            let Some(connection) = &this.connection else {
                return Poll::Pending;
            };
            if is_offered && let Some(socket) = connection.lending().accept() {
                let loan = Loan {
                    socket: Some(socket),
                    connection: connection.clone(),
                    rest: this.rest,
                    received: 0,
                    total: Arc::clone(&this.received),
                    low_mark: 1,
                };
                (this.wants, this.pause) = (false, PAUSE);
                return Poll::Ready(Some(Ok(Part::Direct(Box::new(loan)))));
            }
            if !this.wants || !connection.lending().want(cx.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for UploadBody {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.lending().decline();
        }
    }
}

/// A lent socket, which goes back to its connection when this is dropped.
struct Loan {
    /// `None` only while it is dropped.
    socket: Option<TcpStream>,
    connection: ConnectionState,
    /// Bytes of the body that have not arrived.
    rest: u64,
    /// Bytes received.
    received: u64,
    /// Their number, for the body.
    total: Arc<AtomicU64>,
    /// Number of bytes from which on the socket is readable.
    low_mark: usize,
}

impl DirectSource for Loan {
    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let wanted = usize::try_from(self.rest).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        let deadline = Instant::now() + PATIENCE;
        let mut filled = 0;
        while filled < wanted {
            // hyper finds errors and the end again
            match self.read(&mut buffer[filled..wanted], deadline) {
                Ok(Some(read)) if read > 0 => filled += read,
                _ => break,
            }
        }
        self.rest -= filled as u64;
        self.received += filled as u64;
        filled
    }

    fn rest(&self) -> u64 {
        self.rest
    }
}

impl Loan {
    /// Reads once all that `buffer` takes has arrived, or what there is at the deadline; `None` if that is nothing.
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<Option<usize>> {
        let Some(socket) = &self.socket else {
            return Ok(None);
        };
        if self.low_mark != buffer.len() {
            sys::set_receive_low_mark(socket, buffer.len())?;
            self.low_mark = buffer.len();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut polled = [PollFd::new(socket, PollFlags::IN)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        match recv(socket, buffer, RecvFlags::DONTWAIT) {
            Ok((read, _)) => Ok(Some(read)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            self.total.fetch_add(self.received, Ordering::Relaxed);
            // an error: the connection finds it again
            let _ = sys::set_receive_low_mark(&socket, 1);
            self.connection.lending().give_back(socket, self.received);
        }
    }
}
