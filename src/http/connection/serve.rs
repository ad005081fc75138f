//! One connection: detection of its protocol, and its requests until it ends.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::http::connection::bodies::ResponseBody;
use crate::http::connection::frame_batches::FrameBatches;
use crate::http::connection::h2_executor::{Http2Executor, begin_sending};
use crate::http::connection::head_budget::{ConnectionHeads, Head};
use crate::http::connection::head_timer::HeadTimer;
use crate::http::connection::per_address::ConnectionPermit;
use crate::http::connection::raw_error;
use crate::http::connection::send_budget::SendBudget;
use crate::http::connection::sendfile::{Connection, ConnectionState};
use crate::http::connection::stream::{Socket, Stream};
use crate::http::connection::warnings::ConnectionWarnings;
use crate::http::limits::CONNECTION_BUFFER;
use crate::http::proxy::client::Peer;
use crate::http::settings::LiveSettings;
use crate::http::settings::ServerSettings;
use crate::tls::{Failure, Tls};

/// Preface of HTTP/2 by prior knowledge (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Flow-control window of one request body over HTTP/2, in bytes, and of all on one connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 2 << 20;
/// Maximum number of concurrent requests on one HTTP/2 connection.
const STREAMS: u32 = 128;
/// Maximum of a response that hyper buffers for an HTTP/2 client, in bytes.
const SEND_BUFFER: usize = 256 << 10;
/// Time for which a stopping server still takes requests over connections that it has accepted: their clients may have
/// sent one already.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// Time for an HTTP/2 client to learn that the connection ends.
const SHUTDOWN_NOTICE: Duration = Duration::from_secs(5);

/// Handler of the requests that connections carry.
pub(crate) trait Application: Clone + Send + 'static {
    fn respond(
        self,
        request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + Send + 'static;
}

/// State that all requests of a connection share.
pub(crate) struct Context<A> {
    pub app: A,
    /// Settings at the time of the connection: its limits and protocols.
    pub settings: Arc<ServerSettings>,
    /// Settings in force: trusted proxies, for each request.
    pub live: LiveSettings,
    /// Address of the client; `None` for a Unix socket.
    pub address: Option<IpAddr>,
    pub warnings: Arc<ConnectionWarnings>,
    /// Permit that counts it for its address.
    pub permit: ConnectionPermit,
    /// Budget of memory for its responses.
    pub budget: SendBudget,
    /// Budgets of memory for unfinished heads and handshakes.
    pub heads: ConnectionHeads,
    /// Becomes true when the server stops.
    pub stopping: watch::Receiver<bool>,
}

enum Version {
    Http1,
    Http2,
}

/// Serves a connection until it ends, or until the server stops and nothing is in flight.
pub(crate) async fn serve<A: Application>(socket: Socket, context: Context<A>) -> io::Result<()> {
    // boxed: every connection would reserve memory for what few of them use
    let opened = tokio::select! {
        opened = Box::pin(open(socket, &context)) => opened,
        () = end_of_grace(context.stopping.clone()) => Ok(None),
    };
    let opened = opened.inspect_err(|error| {
        if let Some(failure) = Failure::of(error) {
            context.warnings.handshake(context.address, failure);
        }
    })?;
    match opened {
        None => Ok(()),
        Some((stream, Version::Http1)) => Box::pin(serve_http1(stream, context))
            .await
            .map_err(io::Error::other),
        Some((stream, Version::Http2)) => Box::pin(serve_http2(stream, context))
            .await
            .map_err(io::Error::other),
    }
}

/// Completes once the server has been stopping for [`STOP_GRACE`].
async fn end_of_grace(mut stopping: watch::Receiver<bool>) {
    // an error means the same: the server has ended
    let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
    tokio::time::sleep(STOP_GRACE).await;
}

/// Detects the client's protocol. Returns `None` if the connection needs no further response.
async fn open<A: Application>(
    mut socket: Socket,
    context: &Context<A>,
) -> io::Result<Option<(Stream, Version)>> {
    let (settings, limits) = (&context.settings, &context.settings.limits);
    if let Some(tls) = &settings.tls {
        let opening = timeout(
            limits.handshake_timeout,
            open_encrypted(socket, tls, context),
        );
        return opening
            .await
            .unwrap_or_else(|_| Err(timed_out("the TLS handshake took too long")));
    }
    if !settings.h2c {
        return Ok(Some((Stream::Plain(socket), Version::Http1)));
    }
    let looking = timeout(limits.header_timeout, socket.peek(is_preface));
    let is_http2 = looking
        .await
        .unwrap_or_else(|_| Err(timed_out("no request came")))?;
    let version = if is_http2 == Some(true) {
        Version::Http2
    } else {
        Version::Http1
    };
    Ok(Some((Stream::Plain(socket), version)))
}

fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

/// Reports whether these bytes begin HTTP/2; `None` if more are needed.
fn is_preface(seen: &[u8]) -> Option<bool> {
    if seen.len() < PREFACE.len() && PREFACE.starts_with(seen) {
        None
    } else {
        Some(seen.starts_with(PREFACE))
    }
}

async fn open_encrypted<A: Application>(
    mut socket: Socket,
    tls: &Tls,
    context: &Context<A>,
) -> io::Result<Option<(Stream, Version)>> {
    // no TLS record begins with a letter, and every HTTP method does
    let is_plain = socket
        .peek(|seen| seen.first().map(u8::is_ascii_alphabetic))
        .await?;
    if is_plain == Some(true) {
        context
            .warnings
            .handshake(context.address, Failure::PlainHttp);
        reject_plain(socket, context).await?;
        return Ok(None);
    }
    socket.limit_handshake(Head::new(context.heads.clone()));
    let Some(mut stream) = tls.accept(socket).await? else {
        return Ok(None);
    };
    stream.get_mut().0.end_handshake();
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Some(if is_http2 {
        let stream = Stream::TlsFrames(Box::new(FrameBatches::new(stream)));
        (stream, Version::Http2)
    } else {
        (Stream::Tls(Box::new(stream)), Version::Http1)
    }))
}

async fn reject_plain<A>(socket: Socket, context: &Context<A>) -> io::Result<()> {
    let headers = &context.settings.headers;
    let (mut connection, state) = connection(Stream::Plain(socket), context);
    let _guard = state.begin();
    // unread bytes of the client would reset the connection before it has read the response
    state.set_unread(true);
    connection
        .write_all(&raw_error::for_plain_http(headers))
        .await?;
    connection.shutdown().await
}

fn connection<A>(stream: Stream, context: &Context<A>) -> (Connection, ConnectionState) {
    let settings = &context.settings;
    let (state, limits) = (ConnectionState::new(&stream), &settings.limits);
    let timer = HeadTimer::new(limits.header_timeout, limits.keep_alive_timeout);
    let headers = settings.headers.clone();
    (
        Connection::new(
            stream,
            state.clone(),
            headers,
            timer,
            Head::new(context.heads.clone()),
        ),
        state,
    )
}

impl<A: Application> Context<A> {
    fn peer(&self, stream: &Stream) -> Peer {
        Peer {
            address: self.address,
            is_encrypted: stream.is_encrypted(),
        }
    }

    /// Passes a request to the application, with its origin.
    fn call(
        &self,
        peer: Peer,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + use<A> {
        let client = self.live.load().proxies.client(peer, request.headers());
        if !client.is_by_proxy {
            self.warnings.untrusted(peer, request.headers());
        }
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(self.budget.clone());
        // boxed: every connection reserves room for the largest future of a request
        let response = Box::pin(self.app.clone().respond(request.map(Body::new)));
        async { without_false_length(response.await) }
    }
}

/// Removes a length that is not that of the content: a 204 must have none, and that of a 304 would be the length of the
/// content (RFC 9110, section 8.6).
fn without_false_length(mut answer: Response<Body>) -> Response<Body> {
    if matches!(
        answer.status(),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
    answer
}

async fn serve_http1<A: Application>(stream: Stream, context: Context<A>) -> hyper::Result<()> {
    let (peer, stopping) = (context.peer(&stream), context.stopping.clone());
    let (connection, state) = connection(stream, &context);
    let is_stopping = stopping.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let guard = state.begin();
        request.extensions_mut().insert(state.clone());
        let answer = context.call(peer, request);
        let (is_stopping, state) = (is_stopping.clone(), state.clone());
        async move {
            let mut response = answer.await;
            let is_too_large = response.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            if is_too_large {
                // as where hyper finds that: the client may send more
                state.set_unread(true);
            }
            if *is_stopping.borrow() || is_too_large {
                // or the client would send its next request to a connection that is about to end
                let headers = response.headers_mut();
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| ResponseBody::new(body, guard)))
        }
    });
    let mut http = http1::Builder::new();
    // as Go sends them: scripts search for them with `grep`
    http.title_case_headers(true);
    // clients that have ended their side get their answer; those that do not read it stall, and time out
    http.half_close(true);
    // the connection has its own timer
    http.header_read_timeout(None);
    // not `max_header_size`, which would be that of trailers too: without it they may have 16 KiB
    http.max_buf_size(CONNECTION_BUFFER);
    let mut connection = pin!(http.serve_connection(TokioIo::new(connection), service));
    tokio::select! {
        outcome = connection.as_mut() => return outcome,
        () = end_of_grace(stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Guard that counts an unfinished request of an HTTP/2 connection.
struct Open(watch::Sender<usize>);

impl Open {
    fn count(streams: &watch::Sender<usize>) -> Self {
        streams.send_modify(|open| *open += 1);
        Self(streams.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// Response to a request beyond the limit. It has no body, which the client could leave unread to keep the stream open.
fn too_many_requests() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

async fn serve_http2<A: Application>(stream: Stream, context: Context<A>) -> hyper::Result<()> {
    let (peer, mut stopping) = (context.peer(&stream), context.stopping.clone());
    let limits = context.settings.limits.clone();
    let per_address = limits.connections_per_address;
    let (connection, state) = connection(stream, &context);
    let connection = connection.with_h2();
    // everything written is intended: HTTP/2 rejects requests by other means
    let _guard = state.begin();
    let (streams, mut open) = watch::channel(0);
    let service = service_fn(move |request: Request<Incoming>| {
        let open = Open::count(&streams);
        let request_permit = context.permit.request(per_address);
        let answer =
            request_permit.map(|request_permit| (context.call(peer, request), request_permit));
        async {
            let Some((answer, request_permit)) = answer else {
                return Ok::<_, Infallible>(
                    too_many_requests().map(|body| ResponseBody::new(body, open).keeping(None)),
                );
            };
            let answer = answer.await;
            begin_sending();
            Ok(answer.map(|body| ResponseBody::new(body, open).keeping(Some(request_permit))))
        }
    });
    let mut http = http2::Builder::new(Http2Executor {
        patience: limits.idle_timeout,
    });
    http.timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(SEND_BUFFER);
    http.initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    http.max_header_list_size(CONNECTION_BUFFER as u32);
    let mut connection = pin!(http.serve_connection(TokioIo::new(connection), service));
    tokio::select! {
        outcome = connection.as_mut() => return outcome,
        () = until_idle(&mut open, limits.keep_alive_timeout) => {}
        _ = stopping.wait_for(|is_stopping| *is_stopping) => {}
    }
    // the client may not have all of an answer: what it sends meanwhile must be read, or it would lose the rest
    state.set_unread(*open.borrow() > 0);
    connection.as_mut().graceful_shutdown();
    // a request may have arrived just before
    tokio::select! {
        outcome = connection => outcome,
        () = until_quiet(&mut open, &state) => Ok(()),
    }
}

/// Waits until no request is open, and nothing was written for [`SHUTDOWN_NOTICE`].
async fn until_quiet(open: &mut watch::Receiver<usize>, state: &ConnectionState) {
    loop {
        let before = state.writes();
        until_idle(open, SHUTDOWN_NOTICE).await;
        if state.writes() == before {
            return;
        }
    }
}

/// Waits until no request has been open for the given time.
async fn until_idle(open: &mut watch::Receiver<usize>, period: Duration) {
    loop {
        let is_idle = *open.borrow_and_update() == 0;
        let change = open.changed();
        let outcome = if is_idle {
            timeout(period, change).await
        } else {
            Ok(change.await)
        };
        match outcome {
            Ok(Ok(())) => {}
            // no request can arrive any more: the connection is about to end
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return,
        }
    }
}
