//! Metrics of requests, by route, method and status; no label holds a value that a client can choose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Method, StatusCode};

use crate::http::endpoint::RouteLabel;
use crate::telemetry::{Gauge, Histogram, TIMES};

/// Bounds of durations, in nanoseconds: from 500 µs, because shorter ones matter to no client.
const DURATIONS: &[u64] = TIMES.split_at(2).1;

/// Bounds of body sizes, in bytes: 1 KiB to 2 GiB in powers of two, as in distribution.
const SIZES: &[u64] = &{
    let mut bounds = [1024_u64; 22];
    let mut index = 1;
    while index < bounds.len() {
        bounds[index] = bounds[index - 1] * 2;
        index += 1;
    }
    bounds
};

/// Distinguished methods, in lower case as in distribution; the last stands for all others.
pub(crate) const METHODS: [&str; 8] = [
    "get", "head", "post", "put", "patch", "delete", "options", "unknown",
];

/// Statuses that are sent; the last stands for any other.
pub(crate) const STATUSES: [u16; 28] = [
    200, 201, 202, 204, 206, 301, 304, 307, 400, 401, 403, 404, 405, 406, 409, 411, 412, 413, 414,
    415, 416, 429, 431, 499, 500, 503, 507, 0,
];

/// Metrics of one route.
pub(crate) struct RouteMetrics {
    pub in_flight: Gauge,
    pub request_sizes: Histogram,
    pub response_sizes: Histogram,
    /// By method.
    pub durations: [Histogram; METHODS.len()],
    /// By method and status.
    pub requests: [[AtomicU64; STATUSES.len()]; METHODS.len()],
}

impl Default for RouteMetrics {
    fn default() -> Self {
        Self {
            in_flight: Gauge::new(),
            request_sizes: Histogram::new(SIZES),
            response_sizes: Histogram::new(SIZES),
            durations: METHODS.map(|_| Histogram::new(DURATIONS)),
            requests: METHODS.map(|_| STATUSES.map(|_| AtomicU64::default())),
        }
    }
}

/// Metrics of all routes since the start of the process.
#[derive(Default)]
pub(crate) struct HttpMetrics {
    routes: [RouteMetrics; RouteLabel::ALL.len()],
    /// Open connections of clients.
    pub connections: Gauge,
}

/// Guard that counts an open connection until it is dropped.
pub(crate) struct OpenConnection(Arc<HttpMetrics>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.add(-1);
    }
}

impl HttpMetrics {
    pub(crate) fn open_connection(self: &Arc<Self>) -> OpenConnection {
        self.connections.add(1);
        OpenConnection(Arc::clone(self))
    }

    pub(crate) fn route(&self, label: RouteLabel) -> &RouteMetrics {
        &self.routes[label as usize]
    }
}

impl RouteMetrics {
    pub(crate) fn count(&self, method: usize, status: StatusCode) {
        let last = STATUSES.len() - 1;
        let status = STATUSES
            .iter()
            .position(|known| *known == status.as_u16())
            .unwrap_or(last);
        self.requests[method][status].fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns the index of a method in [`METHODS`].
pub(crate) fn method_number(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        Method::OPTIONS => 6,
        _ => METHODS.len() - 1,
    }
}
