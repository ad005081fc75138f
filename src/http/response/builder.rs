//! Building answers.

use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};

use crate::oci::Digest;

pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");
pub(crate) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// An answer in the making.
pub(crate) struct ResponseBuilder(Response<Body>);

/// Starts an answer without a body.
pub(crate) fn empty(status: StatusCode) -> ResponseBuilder {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    ResponseBuilder(response).header(CONTENT_LENGTH, "0")
}

/// A whole JSON answer.
pub(crate) fn json(status: StatusCode, text: String) -> Response<Body> {
    empty(status)
        .header(CONTENT_TYPE, "application/json")
        .body(text.len() as u64, Body::from(text))
        .finish()
}

/// A time as RFC 3339 has it, to the millisecond.
pub(crate) fn time(millis: i64) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    humantime::format_rfc3339_millis(UNIX_EPOCH + since_epoch).to_string()
}

/// Says which protocol this is, as clients want to be told of everything under `/v2/`.
pub(crate) fn mark_v2(response: &mut Response<Body>) {
    response.headers_mut().insert(
        "docker-distribution-api-version",
        HeaderValue::from_static("registry/2.0"),
    );
}

impl ResponseBuilder {
    /// Sets a header, replacing an earlier one. A value that no header can carry is left out: those of this registry
    /// are made of names, digests and numbers, and media types are checked when they come in.
    pub(crate) fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }

    /// Adds a header beside others of its name.
    pub(crate) fn another(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().append(name, value);
        }
        self
    }

    pub(crate) fn digest(self, digest: &Digest) -> Self {
        self.header(DOCKER_CONTENT_DIGEST, digest.as_str())
    }

    /// A path on this server: relative, so that it is right behind every proxy.
    pub(crate) fn location(self, path: impl AsRef<str>) -> Self {
        self.header(LOCATION, path)
    }

    pub(crate) fn body(mut self, length: u64, body: Body) -> Self {
        *self.0.body_mut() = body;
        self.0
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
        self
    }

    pub(crate) fn finish(self) -> Response<Body> {
        self.0
    }
}
