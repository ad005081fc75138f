//! Responses to requests that hyper could not parse: malformed ones, and those whose head is too large.
//!
//! Hyper rejects such requests by itself, before any handler, with a status and no body, and has no hook for more. On
//! the connection's stream its responses are easily distinguished from a handler's (`sendfile.rs`), and replaced.

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::FutureExt;
use http::header::{CONNECTION, DATE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt;

use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::http::response::extra_headers::ExtraHeaders;

/// Returns the response to send instead of `head`, which is hyper's, with the same status and date.
///
/// It has a body although the request may have been a `HEAD`: its method is unknown, and nothing follows it.
pub(crate) fn replacing_hyper(head: &[u8], headers: &ExtraHeaders) -> Bytes {
    let head = String::from_utf8_lossy(head);
    let status = head
        .get(9..12)
        .and_then(|code| code.parse().ok())
        .unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = ApiError::Unreadable(status).render();
    let date = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("date").then_some(value)
    });
    if let Some(date) = date.and_then(|date| date.parse().ok()) {
        response.headers_mut().insert(DATE, date);
    }
    closing_response(response, headers)
}

/// Returns the response to a client that speaks HTTP where TLS is expected.
pub(crate) fn for_plain_http(headers: &ExtraHeaders) -> Bytes {
    closing_response(ApiError::NotEncrypted.render(), headers)
}

fn closing_response(mut response: Response<Body>, headers: &ExtraHeaders) -> Bytes {
    let all = response.headers_mut();
    builder::mark_v2(all);
    all.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.add_to(all);
    builder::forbid_scripts(all);
    serialize(response)
}

/// Writes a header's name as hyper does for all other responses: `Content-Type`.
fn title_case(name: &str) -> String {
    let mut previous = '-';
    let in_case = |letter: char| {
        let is_first = std::mem::replace(&mut previous, letter) == '-';
        if is_first {
            letter.to_ascii_uppercase()
        } else {
            letter
        }
    };
    name.chars().map(in_case).collect()
}

fn serialize(response: Response<Body>) -> Bytes {
    let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        let name = title_case(name.as_str());
        bytes.extend([name.as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    // an error's body is in memory, so ready
    if let Some(Ok(body)) = response.into_body().collect().now_or_never() {
        bytes.extend(body.to_bytes());
    }
    bytes.into()
}
