//! Log of failed requests, in the terms of distribution's log: all at level `debug`, rejected pushes and deletions at
//! `info`, so that the reason can be found.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, Response, StatusCode, Uri};

use crate::client_key;
use crate::http::response::error::ReportedError;
use crate::log_limit::LogLimiter;

/// Minimum interval between lines of the same client, code and repository.
const EVERY: Duration = Duration::from_secs(3600);
/// Maximum number of lines in that interval, except at level `debug`.
const MAX_LINES: usize = 500;
/// Maximum length of text from a client, in bytes.
const MAX_TEXT: usize = 1000;

/// A macro, because an event's level must be a constant.
macro_rules! log_error {
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

/// Log of failed requests, limited per client, code and repository.
pub(crate) struct ErrorLog(LogLimiter<(Option<IpAddr>, &'static str, String)>);

impl Default for ErrorLog {
    fn default() -> Self {
        Self(LogLimiter::new(
            "rejected pushes and deletions",
            EVERY,
            MAX_LINES,
        ))
    }
}

impl ErrorLog {
    /// Logs a request if it failed; without its query, which may hold a secret.
    pub(crate) fn log<B>(
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
            log_error!(tracing::Level::INFO, client, method, path, status, reason);
        } else {
            log_error!(tracing::Level::DEBUG, client, method, path, status, reason);
        }
    }
}

/// Reports whether a change was rejected and is logged nowhere else. Clients begin without a login and request what
/// does not exist, so 401 and 404 do not count.
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

/// Returns the part of a path before the kind of object.
fn repository(path: &str) -> &str {
    let end = ["/manifests/", "/blobs/"]
        .iter()
        .filter_map(|kind| path.rfind(kind))
        .min();
    cut(&path[..end.unwrap_or(path.len())])
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}
