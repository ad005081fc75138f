//! Streams of connections: a socket, with or without encryption.

use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use crate::http::connection::frame_batches::FrameBatches;
use crate::http::connection::head_budget::{Head, Size};
use crate::registry::BlobFile;
use crate::sys;

/// Maximum number of bytes that one call passes to the kernel, so that other connections of the worker get their share.
const SEND_LIMIT: usize = 1 << 20;
/// Bytes of a file that one system call sends: 15 pages, which fill one packet, on the loopback device as on a network
/// card that splits packets itself. One page more, and the rest is a packet of its own, which wakes the receiver too.
const PACKET_SIZE: usize = 60 << 10;
/// Size of a write after which the kernel takes fewer copied bytes ahead.
const LARGE_WRITE: usize = 16 << 10;
/// Bytes that the kernel takes ahead from then on, instead of up to 4 MiB.
const UNSENT: u32 = 256 << 10;
/// Bytes that are read to detect a client's protocol.
const FIRST_READ: usize = 2048;

/// Socket of a client: fails writes that stall.
pub(crate) struct Socket {
    kind: Kind,
    /// Maximum time that a write may stall.
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    /// Bytes that were read to detect the client's protocol, and will be read again.
    early: Bytes,
    /// True once the kernel takes fewer bytes ahead. Not for files, which it need not copy.
    is_limited: bool,
    /// Bytes of a TLS handshake received so far, while it lasts.
    handshake: Option<Box<Head>>,
}

enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// The socket is lent (`lending.rs`): nothing is read or written until it is back.
    Lent,
}

impl Socket {
    pub(crate) fn tcp(stream: TcpStream, patience: Duration) -> Self {
        Self {
            kind: Kind::Tcp(stream),
            patience,
            stalled: None,
            early: Bytes::new(),
            is_limited: false,
            handshake: None,
        }
    }

    pub(crate) fn unix(stream: UnixStream, patience: Duration) -> Self {
        Self {
            kind: Kind::Unix(stream),
            patience,
            stalled: None,
            early: Bytes::new(),
            is_limited: false,
            handshake: None,
        }
    }

    /// Counts what is received from now on as an unfinished head: a handshake is kept in memory until it is complete.
    pub(crate) fn limit_handshake(&mut self, handshake: Head) {
        self.handshake = Some(Box::new(handshake));
    }

    pub(crate) fn end_handshake(&mut self) {
        self.handshake = None;
    }

    /// Lends the socket, unless a caller has yet to read early bytes from here; `None` if it cannot be lent.
    fn lend(&mut self) -> Option<io::Result<std::net::TcpStream>> {
        if self.early.has_remaining() || !matches!(self.kind, Kind::Tcp(_)) {
            return None;
        }
        match mem::replace(&mut self.kind, Kind::Lent) {
            Kind::Tcp(stream) => Some(stream.into_std()),
            Kind::Unix(_) | Kind::Lent => None,
        }
    }

    /// Fails a write that has stalled for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stalled = None;
            return poll;
        }
        let patience = self.patience;
        ready!(
            self.stalled
                .get_or_insert_with(|| Box::pin(sleep(patience)))
                .as_mut()
                .poll(cx)
        );
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Has the kernel take fewer bytes ahead, once a large answer is copied to it.
    fn limit_unsent(&mut self, length: usize) {
        if let (Kind::Tcp(stream), false, true) =
            (&self.kind, self.is_limited, length > LARGE_WRITE)
        {
            self.is_limited = true;
            if let Err(error) = sys::limit_unsent(stream, UNSENT) {
                tracing::debug!(%error, "cannot limit what the kernel holds for a client");
            }
        }
    }

    /// Peeks at the client's first bytes until `judge` can decide or the client has sent all. They can be read again.
    pub(crate) async fn peek<T>(
        &mut self,
        judge: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let mut seen = BytesMut::with_capacity(FIRST_READ);
        let verdict = loop {
            let is_over = self.read_buf(&mut seen).await? == 0;
            let verdict = judge(&seen);
            if is_over || verdict.is_some() {
                break verdict;
            }
        };
        self.early = seen.freeze();
        Ok(verdict)
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.has_remaining() {
            let length = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early.split_to(length));
            return Poll::Ready(Ok(()));
        }
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Kind::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Kind::Lent => Poll::Ready(Err(is_lent())),
        }
    }

    fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &BlobFile,
        offset: u64,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        let poll = self.poll_send(cx, file, offset, length);
        self.watch(cx, poll)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        file: &BlobFile,
        offset: u64,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            match &self.kind {
                Kind::Tcp(stream) => ready!(stream.poll_write_ready(cx))?,
                Kind::Unix(stream) => ready!(stream.poll_write_ready(cx))?,
                Kind::Lent => {}
            }
            let length = length.min(SEND_LIMIT);
            let sent = match &self.kind {
                Kind::Tcp(stream) => stream.try_io(Interest::WRITABLE, || {
                    send_packets(stream, file, offset, length)
                }),
                Kind::Unix(stream) => stream.try_io(Interest::WRITABLE, || {
                    send_packets(stream, file, offset, length)
                }),
                Kind::Lent => Err(is_lent()),
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "a blob's file is shorter than recorded",
                    )));
                }
                other => return Poll::Ready(other),
            }
        }
    }
}

/// Sends packet by packet until `length` bytes are sent or the socket is full. Returns the bytes sent.
fn send_packets(
    socket: impl AsFd,
    file: &BlobFile,
    offset: u64,
    length: usize,
) -> io::Result<usize> {
    let (mut position, mut sent) = (offset, 0);
    while sent < length {
        let wanted = PACKET_SIZE.min(length - sent);
        match rustix::fs::sendfile(&socket, file, Some(&mut position), wanted) {
            Ok(packet) => {
                sent += packet;
                if packet < wanted {
                    break;
                }
            }
            // the next call reports it
            Err(_) if sent > 0 => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sent)
}

/// Error of what is done to a lent socket: its connection waits until it is back.
fn is_lent() -> io::Error {
    io::Error::other("the socket is lent")
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(handshake) = &mut this.handshake
            && handshake.wait_for(0) == Size::Excessive
        {
            let cause = "unfinished TLS handshakes take too much memory";
            return Poll::Ready(Err(io::Error::other(cause)));
        }
        let before = buffer.filled().len();
        let read = this.poll_receive(cx, buffer);
        if let Some(handshake) = &mut this.handshake {
            handshake.arrived(buffer.filled().len() - before);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.limit_unsent(buffer.len());
        let poll = match &mut this.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write(cx, buffer),
            Kind::Unix(stream) => Pin::new(stream).poll_write(cx, buffer),
            Kind::Lent => Poll::Ready(Err(is_lent())),
        };
        this.watch(cx, poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.limit_unsent(buffers.iter().map(|buffer| buffer.len()).sum());
        let poll = match &mut this.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
            Kind::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
            Kind::Lent => Poll::Ready(Err(is_lent())),
        };
        this.watch(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Lent => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Lent => Poll::Ready(Ok(())),
        }
    }
}

/// Socket, plain or encrypted.
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
    /// Encrypted, and carries HTTP/2.
    TlsFrames(Box<FrameBatches<Socket>>),
}

impl Stream {
    /// Reports whether [`Self::poll_send_file`] can be used.
    pub(crate) fn sends_files(&self) -> bool {
        !self.is_encrypted()
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// Lends the socket of a connection without encryption; `None` if it cannot be lent now.
    pub(super) fn lend(&mut self) -> Option<io::Result<std::net::TcpStream>> {
        match self {
            Self::Plain(socket) => socket.lend(),
            Self::Tls(_) | Self::TlsFrames(_) => None,
        }
    }

    /// Takes a lent socket back.
    pub(super) fn take_back(&mut self, lent: std::net::TcpStream) -> io::Result<()> {
        if let Self::Plain(socket) = self {
            socket.kind = Kind::Tcp(TcpStream::from_std(lent)?);
        }
        Ok(())
    }

    /// Sends up to `length` bytes of `file` from `offset` without copying them. Fails on an encrypted stream.
    pub(crate) fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &BlobFile,
        offset: u64,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_send_file(cx, file, offset, length),
            Self::Tls(_) | Self::TlsFrames(_) => {
                Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::TlsFrames(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buffer),
            Self::TlsFrames(stream) => Pin::new(stream).poll_write(cx, buffer),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
            Self::TlsFrames(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::TlsFrames(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::TlsFrames(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
