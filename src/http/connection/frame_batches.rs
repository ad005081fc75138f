//! TLS below HTTP/2: several frames in one write to the socket.
//!
//! HTTP/2 flushes its stream after each frame, of 16 KiB for most clients. A write for each costs a quarter more CPU
//! time. A flush after a large frame is therefore put off while more frames may follow: the connection's task is woken,
//! and the flush with which it ends its next turn, without another frame before it, is carried out.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// Bytes of a frame after which another one may follow at once.
const LARGE_FRAME: usize = 16 << 10;
/// Bytes that are written without waiting for more. Three frames; four exceed the buffer of rustls, of 64 KiB.
const BATCH: usize = 48 << 10;

/// Encrypted stream that writes frames in batches.
pub(crate) struct FrameBatches<S> {
    stream: TlsStream<S>,
    /// Bytes since the last flush that was carried out.
    waiting: usize,
    /// Bytes since the last flush.
    fresh: usize,
}

impl<S> FrameBatches<S> {
    pub(crate) fn new(stream: TlsStream<S>) -> Self {
        Self {
            stream,
            waiting: 0,
            fresh: 0,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FrameBatches<S> {
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.waiting = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for FrameBatches<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for FrameBatches<S> {
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
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        loop {
            let encrypted = this.stream.get_mut().1.writer().write_vectored(buffers)?;
            if encrypted > 0 {
                this.waiting += encrypted;
                this.fresh += encrypted;
                return Poll::Ready(Ok(encrypted));
            }
            // the buffer of rustls is full
            ready!(this.poll_write_out(cx))?;
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let fresh = std::mem::take(&mut this.fresh);
        if fresh >= LARGE_FRAME && this.waiting < BATCH {
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        this.poll_write_out(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use futures_util::FutureExt;
    use rustls::ServerConfig;
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio_rustls::{TlsAcceptor, TlsConnector, client};

    use super::*;
    use crate::tls::unverified_client;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn connected() -> (FrameBatches<DuplexStream>, client::TlsStream<DuplexStream>) {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .unwrap();
        let (ours, theirs) = duplex(1 << 20);
        let connector = TlsConnector::from(Arc::new(unverified_client().unwrap()));
        let (server, client) = tokio::join!(
            TlsAcceptor::from(Arc::new(config)).accept(ours),
            connector.connect(ServerName::try_from("localhost").unwrap(), theirs)
        );
        (FrameBatches::new(server.unwrap()), client.unwrap())
    }

    #[tokio::test]
    async fn a_flush_that_is_put_off_comes_with_the_next_turn() {
        let (mut server, mut client) = connected().await;
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let cx = &mut Context::from_waker(&waker);
        let mut received = vec![0; 1 << 20];
        // a small frame, large ones, a large one alone, and the turn that follows it
        for (frames, expected, woken) in [
            (vec![100], 100, 0),
            (vec![LARGE_FRAME; 3], 3 * LARGE_FRAME, 2),
            (vec![LARGE_FRAME], 0, 3),
            (vec![0], LARGE_FRAME, 3),
        ] {
            for length in frames {
                let frame = vec![7; length];
                let written = Pin::new(&mut server).poll_write(cx, &frame);
                assert!(matches!(written, Poll::Ready(Ok(taken)) if taken == length));
                assert!(Pin::new(&mut server).poll_flush(cx).is_ready());
            }
            let mut count = 0;
            while let Some(read) = client.read(&mut received).now_or_never() {
                count += read.unwrap();
            }
            assert_eq!((count, wakes.0.load(Ordering::Relaxed)), (expected, woken));
        }
    }
}
