//! Building of responses.

use axum::body::Body;
use http::header::{
    CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;

use crate::oci::Digest;

pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");
pub(crate) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Response under construction.
pub(crate) struct ResponseBuilder(Response<Body>);

/// Starts a response without a body.
pub(crate) fn empty(status: StatusCode) -> ResponseBuilder {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    ResponseBuilder(response).header(CONTENT_LENGTH, "0")
}

/// Creates a JSON response.
pub(crate) fn json(status: StatusCode, text: String) -> Response<Body> {
    empty(status)
        .header(CONTENT_TYPE, "application/json")
        .body(text.len() as u64, Body::from(text))
        .finish()
}

/// Formats a time in milliseconds since 1970 as RFC 3339.
pub(crate) fn time(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis.max(0)).unwrap_or_default();
    format!("{time:.3}")
}

/// Adds the header that names the protocol, which clients expect under `/v2/`.
pub(crate) fn mark_v2(headers: &mut HeaderMap) {
    headers.insert(
        "docker-distribution-api-version",
        HeaderValue::from_static("registry/2.0"),
    );
}

/// Forbids browsers to run what clients have stored, unless the owner's headers say otherwise.
///
/// A page with a login may have the same origin, whose rights stored scripts would get.
pub(crate) fn forbid_scripts(headers: &mut HeaderMap) {
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; sandbox",
        ),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

impl ResponseBuilder {
    /// Sets a header, replacing an earlier one. Omits a value that no header can carry: the values here are names,
    /// digests and numbers, and media types are validated when they are pushed.
    pub(crate) fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }

    /// Adds a header, keeping others of the same name.
    pub(crate) fn another(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().append(name, value);
        }
        self
    }

    pub(crate) fn digest(self, digest: &Digest) -> Self {
        self.header(DOCKER_CONTENT_DIGEST, digest.as_str())
    }

    /// Sets `Location` to a path on this server.
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

    /// Sets a body whose length is not announced.
    pub(crate) fn unmeasured_body(mut self, body: Body) -> Self {
        *self.0.body_mut() = body;
        self.0.headers_mut().remove(CONTENT_LENGTH);
        self
    }

    /// Ends with a body of JSON, as text whose length the caller may look at.
    pub(crate) fn json(self, body: &impl Serialize) -> Response<String> {
        // serializing text and numbers cannot fail
        self.text(serde_json::to_string(body).unwrap_or_default())
    }

    /// Ends with a body of text whose length the caller may look at.
    pub(crate) fn text(mut self, mut text: String) -> Response<String> {
        text.shrink_to_fit();
        self.0
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        self.0.map(|_| text)
    }

    pub(crate) fn finish(self) -> Response<Body> {
        self.0
    }
}
