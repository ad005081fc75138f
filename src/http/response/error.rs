//! The one place where a failure becomes a status, an OCI error code and JSON
//! (OCI distribution-spec 1.1, "Error Codes"; statuses as distribution's `errcode/register.go`).

use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use http::header::{ALLOW, CONTENT_RANGE, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::auth::{RequiredScopes, Scope};
use crate::http::limits::CONNECTION_BUFFER;
use crate::http::limits::MOST_TAGS;
use crate::http::response::builder;
use crate::oci::{DigestError, NameError};
use crate::registry::Error;

/// Why a request is not answered as it hoped.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// Not a request that could be read: hyper refused it, with this status.
    Unreadable(StatusCode),
    /// HTTP where TLS is spoken.
    NotEncrypted,
    /// No `Host`, or more than one, or a malformed one.
    Host,
    UnknownPath,
    /// A configured health check fails.
    Unhealthy,
    Method {
        allowed: String,
    },
    Name(NameError),
    Digest(DigestError),
    DigestMissing,
    MalformedUpload,
    PageNumber(String),
    /// In one push.
    TooManyTags,
    /// A time in a query that is none.
    Time {
        key: String,
        text: String,
    },
    /// A `Content-Range` of an upload that is none.
    MalformedChunk(String),
    /// A `Range` that lies outside of what is there.
    Unsatisfiable {
        size: u64,
    },
    /// `If-Match` names something else.
    Precondition,
    /// Credentials are needed, or better ones.
    Unauthorized {
        challenge: String,
        wanted: RequiredScopes,
    },
    TooManyLogins {
        wait: Duration,
    },
    Panicked,
    Registry(Error),
    /// As above, for an upload whose state the client is told with the refusal.
    Upload {
        location: String,
        error: Error,
    },
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        self.render()
    }
}

impl From<NameError> for ApiError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl From<DigestError> for ApiError {
    fn from(error: DigestError) -> Self {
        Self::Digest(error)
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::Registry(error)
    }
}

/// Why a request failed, as its client is told; goes with the answer.
#[derive(Clone)]
pub(crate) struct ReportedError {
    pub code: &'static str,
    pub message: String,
    pub detail: Option<Box<RawValue>>,
}

/// What a client is told.
struct Rendered {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// JSON; as text, for its keys have an order that people know.
    detail: Option<Box<RawValue>>,
    header: Option<(HeaderName, String)>,
}

impl Rendered {
    fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self {
            status,
            code,
            message: message.to_string(),
            detail: None,
            header: None,
        }
    }

    fn detail(self, detail: impl Serialize) -> Self {
        Self {
            detail: to_raw_value(&detail).ok(),
            ..self
        }
    }

    fn header(self, name: HeaderName, value: impl ToString) -> Self {
        Self {
            header: Some((name, value.to_string())),
            ..self
        }
    }
}

/// The body, in the order in which distribution writes it.
#[derive(Serialize)]
struct Errors<'r> {
    errors: [ErrorBody<'r>; 1],
}

#[derive(Serialize)]
struct ErrorBody<'r> {
    code: &'r str,
    message: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'r RawValue>,
}

/// A scope in the body of a 401, in the order in which distribution writes it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WantedScope<'s> {
    r#type: &'s str,
    class: &'s str,
    name: &'s str,
    action: &'s str,
}

impl ApiError {
    pub(crate) fn render(self) -> Response<Body> {
        let (location, rendered) = match self {
            Self::Upload { location, error } => (Some(location), registry_error(&error)),
            Self::Registry(error) => (None, registry_error(&error)),
            other => (None, other.request_error()),
        };
        let told = ErrorBody {
            code: rendered.code,
            message: &rendered.message,
            detail: rendered.detail.as_deref(),
        };
        // text and JSON can always be written as JSON
        let errors = serde_json::to_string(&Errors { errors: [told] }).unwrap_or_default();
        let mut response = builder::json(rendered.status, errors);
        response.extensions_mut().insert(ReportedError {
            code: rendered.code,
            message: rendered.message,
            detail: rendered.detail,
        });
        let headers = rendered
            .header
            .into_iter()
            .chain(location.map(|location| (http::header::LOCATION, location)));
        for (name, value) in headers {
            // a realm may be in any language
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    fn request_error(self) -> Rendered {
        use StatusCode as S;
        match self {
            Self::Unreadable(status) => Rendered::new(status, "UNSUPPORTED", unreadable(status)),
            Self::NotEncrypted => Rendered::new(
                S::BAD_REQUEST,
                "UNSUPPORTED",
                "Client sent an HTTP request to an HTTPS server: use https:// in its place",
            ),
            Self::Host => Rendered::new(
                S::BAD_REQUEST,
                "UNSUPPORTED",
                "a request of HTTP/1.1 has one Host header, which names a host",
            ),
            Self::Unhealthy => {
                Rendered::new(S::SERVICE_UNAVAILABLE, "UNAVAILABLE", "service unavailable")
                    .detail("health check failed: please see /debug/health")
            }
            Self::UnknownPath => {
                Rendered::new(S::NOT_FOUND, "UNSUPPORTED", "no such path in this API")
            }
            Self::Method { allowed } => Rendered::new(
                S::METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                format!("this path takes {allowed} only"),
            )
            .header(ALLOW, allowed),
            Self::Name(error @ NameError::Tag(_)) => {
                Rendered::new(S::BAD_REQUEST, "TAG_INVALID", error)
            }
            Self::Name(error) => Rendered::new(S::BAD_REQUEST, "NAME_INVALID", error),
            Self::Digest(error) => Rendered::new(S::BAD_REQUEST, "DIGEST_INVALID", error),
            Self::DigestMissing => Rendered::new(
                S::BAD_REQUEST,
                "DIGEST_INVALID",
                "finishing an upload takes ?digest=",
            ),
            Self::MalformedUpload => Rendered::new(
                S::NOT_FOUND,
                "BLOB_UPLOAD_UNKNOWN",
                "that is not the id of an upload",
            ),
            Self::PageNumber(text) => Rendered::new(
                S::BAD_REQUEST,
                "PAGINATION_NUMBER_INVALID",
                format!("n must be a number from 0 up, not '{text}'"),
            ),
            Self::TooManyTags => Rendered::new(
                S::URI_TOO_LONG,
                "TAG_INVALID",
                format!(
                    "one push may bring {MOST_TAGS} tags: push the manifest again with the others"
                ),
            ),
            Self::Time { key, text } => Rendered::new(
                S::BAD_REQUEST,
                "UNSUPPORTED",
                format!("{key} must be a time such as 2026-11-21T10:29:00Z, not '{text}'"),
            ),
            Self::MalformedChunk(text) => Rendered::new(
                S::BAD_REQUEST,
                "BLOB_UPLOAD_INVALID",
                format!("Content-Range must read FIRST-LAST, not '{text}'"),
            ),
            Self::Unsatisfiable { size } => Rendered::new(
                S::RANGE_NOT_SATISFIABLE,
                "RANGE_INVALID",
                format!("the content has {size} bytes, none of which was asked for"),
            )
            .header(CONTENT_RANGE, format!("bytes */{size}")),
            Self::Precondition => Rendered::new(
                S::PRECONDITION_FAILED,
                "UNSUPPORTED",
                "the content is not what If-Match asks for",
            ),
            Self::Unauthorized { challenge, wanted } => {
                Rendered::new(S::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
                    .detail(wanted_detail(&wanted))
                    .header(WWW_AUTHENTICATE, challenge)
            }
            Self::TooManyLogins { wait } => {
                let seconds = wait.as_millis().div_ceil(1000).max(1);
                Rendered::new(
                    S::TOO_MANY_REQUESTS,
                    "TOOMANYREQUESTS",
                    format!("too many logins have failed, or wait to be checked: try again in {seconds} seconds"),
                )
                .header(RETRY_AFTER, seconds)
            }
            Self::Panicked | Self::Registry(_) | Self::Upload { .. } => Rendered::new(
                S::INTERNAL_SERVER_ERROR,
                "UNKNOWN",
                "the registry failed; its log says more",
            ),
        }
    }
}

/// As distribution tells it: nothing in particular is null.
fn wanted_detail(wanted: &RequiredScopes) -> Option<Vec<WantedScope<'_>>> {
    let scopes: Vec<_> = wanted.all().map(told).collect();
    (!scopes.is_empty()).then_some(scopes)
}

fn told(scope: &Scope) -> WantedScope<'_> {
    let (resource, action) = (&scope.resource, scope.permission.as_str());
    WantedScope {
        r#type: resource.kind(),
        class: "",
        name: resource.name(),
        action,
    }
}

/// What hyper means by a refusal of its own.
fn unreadable(status: StatusCode) -> String {
    match status {
        StatusCode::URI_TOO_LONG => "the path and query of a request may have 65534 bytes".to_owned(),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            format!("the head of a request may have {} KiB and 100 headers, and announce a body of 2^64-3 bytes", CONNECTION_BUFFER >> 10)
        }
        StatusCode::NOT_IMPLEMENTED => "the body of a request may be sent in chunks, and in no other transfer encoding".to_owned(),
        _ => "the head of the request is malformed: its first line, a header, or the length it announces".to_owned(),
    }
}

fn registry_error(error: &Error) -> Rendered {
    use StatusCode as S;
    let rendered = |status, code| Rendered::new(status, code, error);
    match error {
        Error::NameUnknown(name) => {
            rendered(S::NOT_FOUND, "NAME_UNKNOWN").detail(json!({ "name": name.as_str() }))
        }
        Error::ManifestUnknown {
            repository,
            reference,
        } => rendered(S::NOT_FOUND, "MANIFEST_UNKNOWN")
            .detail(json!({ "name": repository.as_str(), "reference": reference })),
        Error::BlobUnknown { digest, .. } => {
            rendered(S::NOT_FOUND, "BLOB_UNKNOWN").detail(json!({ "digest": digest.as_str() }))
        }
        Error::UploadUnknown(_) => rendered(S::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        Error::UploadBusy(_) => rendered(S::CONFLICT, "BLOB_UPLOAD_INVALID"),
        Error::ChunkOutOfOrder { received } => rendered(S::RANGE_NOT_SATISFIABLE, "RANGE_INVALID")
            .header(RANGE, received_range(*received)),
        Error::SizeMismatch { .. } => rendered(S::BAD_REQUEST, "SIZE_INVALID"),
        Error::DigestMismatch { .. } | Error::Digest(_) => {
            rendered(S::BAD_REQUEST, "DIGEST_INVALID")
        }
        Error::ManifestInvalid(_) | Error::ManifestBody(_) => {
            rendered(S::BAD_REQUEST, "MANIFEST_INVALID")
        }
        Error::ManifestTooLarge { .. } => rendered(S::PAYLOAD_TOO_LARGE, "MANIFEST_INVALID"),
        Error::ReferencesUnknown { digests, .. } => {
            let digests: Vec<_> = digests
                .iter()
                .map(|digest| json!({ "digest": digest.as_str() }))
                .collect();
            rendered(S::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN").detail(digests)
        }
        Error::InUse { holder, .. } => rendered(S::METHOD_NOT_ALLOWED, "DENIED")
            .detail(json!({ "holder": holder.as_str() }))
            .header(ALLOW, "GET, HEAD"),
        Error::TagImmutable { tag, .. } => {
            rendered(S::CONFLICT, "DENIED").detail(json!({ "tag": tag }))
        }
        Error::NothingToRestore(_) => rendered(S::NOT_FOUND, "MANIFEST_UNKNOWN"),
        Error::UrlRefused(_) => rendered(S::BAD_REQUEST, "MANIFEST_INVALID"),
        Error::ClassRefused(_) => rendered(S::FORBIDDEN, "DENIED"),
        Error::DeleteDisabled | Error::ReadOnly => {
            rendered(S::METHOD_NOT_ALLOWED, "UNSUPPORTED").header(ALLOW, "GET, HEAD")
        }
        Error::Body(_) => rendered(S::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
        Error::StorageFull | Error::Reserve => rendered(S::INSUFFICIENT_STORAGE, "UNAVAILABLE"),
        Error::Overloaded(_) => rendered(S::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Error::DataDirectory { .. }
        | Error::NoRegistry(_)
        | Error::Meta(_)
        | Error::Files { .. }
        | Error::Internal(_) => {
            tracing::error!(%error, "internal failure");
            Rendered::new(
                S::INTERNAL_SERVER_ERROR,
                "UNKNOWN",
                "the registry failed; its log says more",
            )
        }
    }
}

/// What has been received of an upload, as the `Range` header tells it: `0-0` for nothing, as distribution has it.
pub(crate) fn received_range(received: u64) -> String {
    format!("0-{}", received.saturating_sub(1))
}
