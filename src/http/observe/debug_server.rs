//! A port of its own for those who look after the server, without encryption or login: `/debug/health`, `/metrics` and the
//! probes. There is no profiler behind it, as there is in distribution.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::http::api::query::ReadinessQuery;
use crate::http::connection::stream::Socket;
use crate::http::endpoint;
use crate::http::observe::monitoring::Monitor;
use crate::http::observe::probes;
use crate::http::observe::prometheus;
use crate::http::observe::prometheus::Shape;
use crate::http::response::builder;
use crate::http::response::error::ApiError;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 64;
/// How long a client may take over the head of a request, and keep a connection without one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take nothing of what it asked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long accepting pauses after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The bound port.
pub struct DebugServer {
    listener: TcpListener,
    /// Where the metrics are; none where they are not asked for.
    metrics: Option<String>,
    monitor: Monitor,
}

/// Where health is, as in distribution.
const HEALTH: &str = "/debug/health";

impl DebugServer {
    /// Whether something else than metrics is at this path.
    #[must_use]
    pub fn is_taken(path: &str) -> bool {
        matches!(path, HEALTH | endpoint::LIVE | endpoint::READY)
    }

    /// Binds `address`. Metrics are given at the path `metrics`, if there is one.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(
        address: SocketAddr,
        metrics: Option<String>,
        monitor: Monitor,
    ) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            metrics,
            monitor,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped; what is being answered then is cut off.
    pub async fn run(self) {
        let (slots, this) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(self));
        let mut connections = tokio::task::JoinSet::new();
        loop {
            // never closed
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            while connections.try_join_next().is_some() {}
            let stream = match this.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the debug port could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let this = Arc::clone(&this);
            connections.spawn(async move {
                let service = service_fn(|request: Request<Incoming>| {
                    let this = Arc::clone(&this);
                    async move { Ok::<_, Infallible>(this.answer(&request).await) }
                });
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT);
                if let Err(error) = http
                    .serve_connection(TokioIo::new(Socket::tcp(stream, PATIENCE)), service)
                    .await
                {
                    tracing::debug!(%error, "a connection to the debug port ended early");
                }
                drop(slot);
            });
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return ApiError::Method {
                allowed: "GET, HEAD",
            }
            .render();
        }
        let path = request.uri().path();
        match path {
            HEALTH => self.health(),
            endpoint::LIVE => probes::live(),
            endpoint::READY => {
                self.monitor
                    .readiness
                    .answer(&ReadinessQuery::read(request.uri()))
                    .await
            }
            path if self.metrics.as_deref() == Some(path) => {
                let shape = Shape::wanted(request.headers());
                let text = prometheus::text(&self.monitor, shape).await;
                builder::empty(StatusCode::OK)
                    .header(CONTENT_TYPE, shape.media_type())
                    .body(text.len() as u64, Body::from(text))
                    .finish()
            }
            _ => ApiError::UnknownPath.render(),
        }
    }

    /// As distribution has it: an object of what is wrong.
    fn health(&self) -> Response<Body> {
        let failures: Map<_, _> = self
            .monitor
            .health
            .failures()
            .into_iter()
            .map(|(name, cause)| (name, Value::from(cause)))
            .collect();
        let status = if failures.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        builder::json(status, Value::Object(failures).to_string())
    }
}
