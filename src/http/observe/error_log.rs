//! What the log says of requests that were not answered as they hoped, under the names that distribution's log has for it: all of
//! them at the level `debug`, and a push or a deletion that is refused at `info`, so that its reason can be found.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, Response, StatusCode, Uri};

use crate::client_key;
use crate::http::response::error::ReportedError;
use crate::log_limit::LogLimiter;

/// How often the same is said of the same client and repository.
const EVERY: Duration = Duration::from_secs(3600);
/// How many lines there are in that time at the most, but for the level `debug`.
const MOST: usize = 500;
/// How much is said of what a client has sent, in bytes.
const LONGEST: usize = 1000;

/// An event's level is part of what is compiled.
macro_rules! say {
    ($level:expr, $client:expr, $method:expr, $path:expr, $status:expr, $reason:expr) => {
        tracing::event!(
            $level,
            http.request.method = $method.as_str(),
            http.request.uri = cut($path),
            http.request.remoteaddr = $client.map(|address| address.to_string()),
            http.response.status = $status.as_u16(),
            err.code = $reason.code,
            err.message = cut(&$reason.message),
            err.detail = $reason.detail.as_deref().map(|detail| cut(detail.get())),
            "response completed with error"
        )
    };
}

/// What has been said of late: who was refused what, and where.
pub(crate) struct ErrorLog(LogLimiter<(Option<IpAddr>, &'static str, String)>);

impl Default for ErrorLog {
    fn default() -> Self {
        Self(LogLimiter::new("refused pushes and deletions", EVERY, MOST))
    }
}

impl ErrorLog {
    /// Tells of a request, if it has failed; without its query, which could hold a secret.
    pub(crate) fn tell<B>(
        &self,
        client: Option<IpAddr>,
        method: &Method,
        uri: &Uri,
        response: &Response<B>,
    ) {
        let Some(reason) = response.extensions().get::<ReportedError>() else {
            return;
        };
        let status = response.status();
        let path = uri.path();
        if is_refusal(method, status)
            && self.0.may_log((
                client.map(client_key::of),
                reason.code,
                repository(path).to_owned(),
            ))
        {
            say!(tracing::Level::INFO, client, method, path, status, reason);
        } else {
            say!(tracing::Level::DEBUG, client, method, path, status, reason);
        }
    }
}

/// Whether something was not changed that was to be, and the log says nothing else of it. Clients begin without a login, and ask
/// for what is not there.
fn is_refusal(method: &Method, status: StatusCode) -> bool {
    let is_change = matches!(
        *method,
        Method::POST | Method::PUT | Method::PATCH | Method::DELETE
    );
    is_change
        && !matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS
        )
}

/// What stands in a path before the kind of thing that is asked for.
fn repository(path: &str) -> &str {
    let end = ["/manifests/", "/blobs/"]
        .iter()
        .filter_map(|kind| path.rfind(kind))
        .min();
    cut(&path[..end.unwrap_or(path.len())])
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}
