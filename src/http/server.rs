//! Connections: accepting, limiting, draining.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;

use super::Client;
use super::body::AnswerBody;
use super::sendfile::{Connection, SendSlot};
use crate::registry::Registry;

/// Bounds on what clients may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// How long a client may take over the head of a request, and keep a connection without one.
    pub header_timeout: Duration,
    /// How long requests in flight are waited for when the server stops.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 4096, header_timeout: Duration::from_secs(60), drain_timeout: Duration::from_secs(30) }
    }
}

/// How long accepting pauses after the system refused a connection, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The most that is read from a connection at once, and so the largest head of a request, in bytes. It is what a fast
/// upload costs in memory, a few times over.
pub(super) const CONNECTION_BUFFER: usize = 128 << 10;

/// A bound socket, and the registry to be served on it.
pub struct Server {
    listener: TcpListener,
    registry: Registry,
    limits: Limits,
}

impl Server {
    /// Binds `address`.
    ///
    /// # Errors
    /// A taken port, an address that is not this machine's, and what else the system says.
    pub async fn bind(address: SocketAddr, registry: Registry, limits: Limits) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, registry, limits })
    }

    /// Where it listens; tells the port where any was asked for.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is done, then finishes the requests in flight. False where they took too long.
    pub async fn run(self, stop: impl Future<Output = ()>) -> bool {
        crate::sys::keep_buffers();
        let router = super::router(self.registry.clone());
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let graceful = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &places) => accepted,
                () = &mut stop => break,
            };
            let (stream, client, place) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let connection = serve(stream, client, router.clone(), self.limits.header_timeout, graceful.watcher());
            tokio::spawn(async move {
                // a client that breaks off is its own affair; what it broke off is reported by its request
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended early");
                }
                drop(place);
            });
        }
        drop(self.listener);
        tokio::time::timeout(self.limits.drain_timeout, graceful.shutdown()).await.is_ok()
    }
}

async fn serve(stream: TcpStream, client: SocketAddr, router: Router, header_timeout: Duration, watcher: Watcher) -> hyper::Result<()> {
    // refused only by sockets that are closed already
    let _ = stream.set_nodelay(true);
    let slot = SendSlot::default();
    let stream = TokioIo::new(Connection::new(stream, slot.clone()));
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let turn = slot.begin();
        request.extensions_mut().insert(slot.clone());
        request.extensions_mut().insert(Client(client.ip()));
        let answer = router.clone().call(request.map(Body::new));
        async { answer.await.map(|answer| answer.map(|body| AnswerBody::new(body, turn))) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(header_timeout);
    // without the second, a head that is a little larger is taken where it comes in one piece
    http.max_buf_size(CONNECTION_BUFFER).max_header_size(CONNECTION_BUFFER);
    let connection = http.serve_connection(stream, service);
    watcher.watch(connection).await
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, client) = listener.accept().await?;
    Ok((stream, client, place))
}
