//! Debug port for operators, without encryption or login: `/debug/health`, `/metrics` and the probes. Unlike
//! distribution, it has no profiler.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use crate::http::connection::listener::Listener;
use crate::http::endpoint;
use crate::http::observe::metrics::prometheus::{self, Format};
use crate::http::observe::monitoring::Monitor;
use crate::http::observe::probes;
use crate::http::response::builder;
use crate::http::response::error::ApiError;

/// Maximum number of connections; more wait to be accepted.
const CONNECTIONS: usize = 64;
/// Maximum time for the head of a request, and for an idle connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum time without progress of a response.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before accepting again after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bound debug port.
pub struct DebugServer {
    listener: Listener,
    /// Path of the metrics; `None` if they are disabled.
    metrics: Option<String>,
    monitor: Monitor,
}

/// Path of the health report, as in distribution.
const HEALTH: &str = "/debug/health";

impl DebugServer {
    /// Reports whether a path serves something other than metrics.
    #[must_use]
    pub fn is_reserved(path: &str) -> bool {
        path == HEALTH || endpoint::is_probe(path)
    }

    /// Creates a debug port that accepts from `listener`. Metrics are served at the path `metrics`, if there is one.
    #[must_use]
    pub fn new(listener: Listener, metrics: Option<String>, monitor: Monitor) -> Self {
        Self {
            listener,
            metrics,
            monitor,
        }
    }

    /// Serves until it is dropped, which interrupts responses.
    pub async fn run(self) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let router = router(self.monitor, self.metrics.as_deref());
        let mut connections = tokio::task::JoinSet::new();
        loop {
            // the semaphore is never closed
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            while connections.try_join_next().is_some() {}
            let socket = match self.listener.accept(|| PATIENCE).await {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the debug port could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let service = TowerToHyperService::new(router.clone());
            connections.spawn(async move {
                let mut http = http1::Builder::new();
                http.title_case_headers(true);
                http.timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT);
                if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
                    tracing::debug!(%error, "connection to the debug port ended early");
                }
                drop(slot);
            });
        }
    }
}

/// Routes of the debug port.
fn router(monitor: Monitor, metrics: Option<&str>) -> Router {
    let mut routes = Router::new().route(HEALTH, get(health));
    if let Some(path) = metrics {
        // the owner's path is no pattern
        let path = path.replace('{', "{{").replace('}', "}}");
        routes = routes.without_v07_checks().route(&path, get(exposition));
    }
    let readiness = Arc::clone(&monitor.readiness);
    routes
        .with_state(monitor)
        .merge(probes::router(readiness))
        .fallback(async || ApiError::UnknownPath)
        .method_not_allowed_fallback(async || ApiError::Method {
            allowed: "GET, HEAD".to_owned(),
        })
}

/// Responds with the failing checks, as distribution does.
async fn health(State(monitor): State<Monitor>) -> Response<Body> {
    let failures: Map<_, _> = monitor
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

async fn exposition(State(monitor): State<Monitor>, format: Format) -> Response<Body> {
    let text = prometheus::text(&monitor, format).await;
    builder::empty(StatusCode::OK)
        .header(CONTENT_TYPE, format.media_type())
        .body(text.len() as u64, Body::from(text))
        .finish()
}
