//! Observation of requests: each is counted and logged once its response has been handed to the connection or
//! abandoned.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::http::endpoint::RouteLabel;
use crate::http::observe::access_log::{AccessLog, Entry};
use crate::http::observe::metrics::requests::{HttpMetrics, method_number};

/// Counts and logs requests; clones share it.
#[derive(Clone)]
pub(crate) struct Observer {
    pub metrics: Arc<HttpMetrics>,
    pub log: AccessLog,
}

/// Request in progress; counted and logged when this is dropped.
pub(crate) struct Observation {
    observer: Observer,
    label: RouteLabel,
    method: usize,
    start: Instant,
    entry: Option<Entry>,
    status: StatusCode,
    received: Arc<AtomicU64>,
    sent: u64,
}

impl Observer {
    pub(crate) fn begin(
        &self,
        label: RouteLabel,
        request: &Request<Body>,
        client: Option<IpAddr>,
    ) -> Observation {
        let route = self.metrics.route(label);
        route.in_flight.add(1);
        let entry = self.log.is_enabled().then(|| {
            Entry::new(
                client,
                request.method(),
                request.uri(),
                request.version(),
                request.headers(),
            )
        });
        let method = method_number(request.method());
        // stays if the client disconnects before the response, as in nginx
        let status = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
        Observation {
            observer: self.clone(),
            label,
            method,
            start: Instant::now(),
            entry,
            status,
            received: Arc::default(),
            sent: 0,
        }
    }
}

impl Observation {
    /// Records the user, once known.
    pub(crate) fn set_user(&mut self, user: &str) {
        if let Some(entry) = &mut self.entry {
            entry.set_user(user);
        }
    }

    /// Counts the bytes of the request body that are read; its announced length does not count.
    pub(crate) fn receive(&self, inner: Body) -> Body {
        if inner.is_end_stream() {
            inner
        } else {
            Body::new(CountedBody {
                inner,
                count: Arc::clone(&self.received),
            })
        }
    }

    /// Observes the response body.
    pub(crate) fn answer(mut self, response: Response<Body>) -> Response<Body> {
        self.status = response.status();
        if response.body().is_end_stream() {
            return response;
        }
        response.map(|inner| {
            Body::new(ObservedBody {
                inner,
                observation: self,
            })
        })
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let route = self.observer.metrics.route(self.label);
        route.in_flight.add(-1);
        route.count(self.method, self.status);
        route.durations[self.method].observe_time(self.start.elapsed());
        route
            .request_sizes
            .observe(self.received.load(Ordering::Relaxed));
        route.response_sizes.observe(self.sent);
        if let Some(entry) = &self.entry {
            self.observer.log.write(entry.line(self.status, self.sent));
        }
    }
}

/// Response body whose bytes are counted.
struct ObservedBody {
    inner: Body,
    observation: Observation,
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.observation.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
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

/// Request body whose bytes are counted.
struct CountedBody {
    inner: Body,
    count: Arc<AtomicU64>,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.count.fetch_add(
                frame.data_ref().map_or(0, |data| data.len() as u64),
                Ordering::Relaxed,
            );
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
