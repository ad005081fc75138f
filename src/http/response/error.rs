//! The one place where an error becomes a status, an OCI error code and JSON
//! (OCI distribution-spec 1.1, "Error Codes"; statuses as distribution's `errcode/register.go`).

use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use http::header::{ALLOW, CONTENT_RANGE, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use jiff::fmt::friendly::SpanPrinter;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::auth::{RequiredScopes, Scope};
use crate::escape;
use crate::http::limits::CONNECTION_BUFFER;
use crate::http::limits::{MAX_TAGS, TOKEN_FORM};
use crate::http::response::builder;
use crate::mirror;
use crate::oci::{Digest, DigestError, NameError, RepositoryName};
use crate::registry::{Error, ReferenceError};
use crate::upstream;

/// Error of a request. Its text is sent to the client, unless the registry itself failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Request that hyper could not parse and rejected with this status.
    #[error("{}", unreadable(*.0))]
    Unreadable(StatusCode),
    #[error("Client sent an HTTP request to an HTTPS server: use https://")]
    NotEncrypted,
    /// Missing, repeated or malformed `Host`.
    #[error("an HTTP/1.1 request must have exactly one valid Host header")]
    Host,
    /// Change on the page by a passer-by.
    #[error(
        "without logins the page changes something from the machine of the registry alone: ui.anonymouschanges allows it from anywhere"
    )]
    AnonymousChange,
    #[error("no such path in this API")]
    UnknownPath,
    /// Failure of a configured health check.
    #[error("service unavailable")]
    Unhealthy,
    #[error("this path supports only {allowed}")]
    Method { allowed: String },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error("finishing an upload requires ?digest=")]
    DigestMissing,
    #[error("malformed upload id")]
    MalformedUpload,
    /// Invalid number in a query.
    #[error("{key} must be a non-negative number, not '{text}'")]
    Number { key: String, text: String },
    /// Invalid parameter of `/api/v1`.
    #[error("{0}")]
    Parameter(String),
    #[error("{0} is unknown: it was never pushed, or is permanently removed")]
    DigestUnknown(Digest),
    #[error("a push may set at most {MAX_TAGS} tags: push the manifest again for the others")]
    TooManyTags,
    /// Invalid time in a query.
    #[error("{key} must be a time such as 2026-11-21T10:29:00Z, not '{text}'")]
    Time { key: String, text: String },
    /// Invalid `Content-Range` of an upload.
    #[error("Content-Range must have the form FIRST-LAST, not '{0}'")]
    MalformedChunk(String),
    /// `Range` outside the content.
    #[error("the requested range lies outside the content, which has {size} bytes")]
    Unsatisfiable { size: u64 },
    /// Missing or insufficient credentials.
    #[error("{}", .message.as_deref().unwrap_or("authentication required"))]
    Unauthorized {
        challenge: String,
        required: RequiredScopes,
        /// Why the credentials do not count, for whoever had valid ones.
        message: Option<String>,
    },
    /// Invalid form of a request for a token.
    #[error("cannot read the form: {0}")]
    TokenForm(String),
    #[error("the form has more than {} KiB: ask for fewer scopes", TOKEN_FORM >> 10)]
    TokenFormTooLarge,
    /// Action that access rules do not allow in a repository that the client may see.
    #[error("access denied: your rights do not include {} in {}", .0.permission.as_str(), .0.resource.name())]
    Denied(Scope),
    #[error(
        "access denied: this takes an administrator, who has the role admin in all repositories"
    )]
    NotAdministrator,
    /// Change of what administrators have, where no rule makes anybody one.
    #[error(
        "without access rules, tokens and deliveries are changed on the server alone, with the command registry: a section access makes administrators"
    )]
    NoAdministrators,
    /// Change that a page of another origin asks for.
    #[error("a page of another origin may not change anything here")]
    ForeignSite,
    #[error("{webhook} has no delivery of event {event}")]
    DeliveryUnknown { event: i64, webhook: String },
    /// Failure to read the proof of a login: the database, or an issuer's keys.
    #[error(
        "this login cannot be checked at the moment; the registry's log says why: try again later"
    )]
    LoginUnchecked,
    /// Repository that the client may not see, whether it exists or not.
    #[error("repository {0} does not exist, or this login has no rights in it")]
    Hidden(RepositoryName),
    #[error("too many failed or pending logins: try again in {} seconds", seconds(*.wait))]
    TooManyLogins { wait: Duration },
    #[error("more than {limit} {what} in {}: try again in {} seconds", span(*.period), seconds(*.wait))]
    TooManyImages {
        limit: NonZeroU32,
        /// Pulls or pushes.
        what: &'static str,
        period: Duration,
        wait: Duration,
    },
    /// Push to a repository that shows the content of another registry.
    #[error(
        "{0} is a cache of another registry, which takes only pulls: push to a repository elsewhere"
    )]
    Mirrored(RepositoryName),
    /// Look-up in a namespace (`?ns=`) of which there is no upstream.
    #[error("this registry has no upstream for the namespace '{0}'")]
    Namespace(String),
    /// Request by a way in that leads to one upstream alone.
    #[error("this address is a cache of another registry, which takes only pulls")]
    OnlyPulls,
    #[error(transparent)]
    Mirror(#[from] mirror::Error),
    #[error("{INTERNAL}")]
    Panicked,
    #[error(transparent)]
    Registry(#[from] Error),
    /// Error of an upload, with the location at which the client continues.
    #[error("{error}")]
    Upload { location: String, error: Error },
}

/// Pause before a request is worth repeating while the registry has no room, or takes over another registry's store.
const RETRY_SECONDS: u32 = 5;

/// Maximum length of an error's message, in bytes: some quote what the client sent.
const MAX_MESSAGE: usize = 2000;

/// Text for an internal error, whose cause is in the log.
const INTERNAL: &str = "internal error: the registry's log has the details";

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        self.render()
    }
}

/// Error as sent to the client; an extension of the response, for the log.
#[derive(Clone)]
pub(crate) struct ReportedError {
    pub code: &'static str,
    pub message: String,
    pub detail: Option<Box<RawValue>>,
}

/// Content of an error response.
struct Rendered {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// JSON, kept as text to preserve the order of its keys.
    detail: Option<Box<RawValue>>,
    header: Option<(HeaderName, String)>,
}

impl Rendered {
    fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self {
            status,
            code,
            message: cut(message.to_string()),
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

/// Body of an error response, in the key order of distribution.
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

/// Scope in the body of a 401, in the key order of distribution.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RequiredScope<'s> {
    r#type: &'s str,
    class: &'s str,
    name: &'s str,
    action: &'s str,
}

impl From<ReferenceError> for ApiError {
    fn from(error: ReferenceError) -> Self {
        match error {
            ReferenceError::Tag(error) => error.into(),
            ReferenceError::Digest(error) => error.into(),
        }
    }
}

impl ApiError {
    pub(crate) fn render(self) -> Response<Body> {
        let (location, rendered) = match self {
            Self::Upload { location, error } => (Some(location), registry_error(&error)),
            Self::Registry(error) => (None, registry_error(&error)),
            Self::Mirror(error) => (None, mirror_error(&error)),
            other => (None, other.request_error()),
        };
        let body = ErrorBody {
            code: rendered.code,
            message: &rendered.message,
            detail: rendered.detail.as_deref(),
        };
        // serializing text and JSON cannot fail
        let errors = serde_json::to_string(&Errors { errors: [body] }).unwrap_or_default();
        // clients print what they sent
        let errors = escape::json(&errors).into_owned();
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
            // a realm may hold any UTF-8
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    fn request_error(self) -> Rendered {
        let (status, code) = self.status_and_code();
        let rendered = Rendered::new(status, code, &self);
        match self {
            Self::Unhealthy => rendered.detail("health check failed: please see /debug/health"),
            Self::Method { allowed } => rendered.header(ALLOW, allowed),
            Self::Unsatisfiable { size } => {
                rendered.header(CONTENT_RANGE, format!("bytes */{size}"))
            }
            Self::Unauthorized {
                challenge,
                required,
                ..
            } => rendered
                .detail(required_detail(&required))
                .header(WWW_AUTHENTICATE, challenge),
            Self::Denied(scope) => rendered.detail([required_scope(&scope)]),
            Self::Hidden(name) => rendered.detail(unknown(&name)),
            Self::TooManyLogins { wait } | Self::TooManyImages { wait, .. } => {
                rendered.header(RETRY_AFTER, seconds(wait))
            }
            Self::LoginUnchecked => rendered.header(RETRY_AFTER, RETRY_SECONDS),
            _ => rendered,
        }
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::Unreadable(status) => (*status, "UNSUPPORTED"),
            Self::NotEncrypted | Self::Host => (S::BAD_REQUEST, "UNSUPPORTED"),
            Self::Unhealthy | Self::LoginUnchecked => (S::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::UnknownPath => (S::NOT_FOUND, "UNSUPPORTED"),
            Self::Method { .. } | Self::Mirrored(_) | Self::OnlyPulls => {
                (S::METHOD_NOT_ALLOWED, "UNSUPPORTED")
            }
            Self::Name(NameError::Tag(_)) => (S::BAD_REQUEST, "TAG_INVALID"),
            Self::Name(_) => (S::BAD_REQUEST, "NAME_INVALID"),
            Self::Digest(_) | Self::DigestMissing => (S::BAD_REQUEST, "DIGEST_INVALID"),
            Self::MalformedUpload => (S::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            Self::Number { .. } => (S::BAD_REQUEST, "PAGINATION_NUMBER_INVALID"),
            Self::TooManyTags => (S::URI_TOO_LONG, "TAG_INVALID"),
            Self::Time { .. } | Self::Parameter(_) => (S::BAD_REQUEST, "UNSUPPORTED"),
            Self::DigestUnknown(_) => (S::NOT_FOUND, "BLOB_UNKNOWN"),
            Self::MalformedChunk(_) => (S::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            Self::Unsatisfiable { .. } => (S::RANGE_NOT_SATISFIABLE, "RANGE_INVALID"),
            Self::Unauthorized { .. } => (S::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::TokenForm(_) => (S::BAD_REQUEST, "UNSUPPORTED"),
            Self::TokenFormTooLarge => (S::PAYLOAD_TOO_LARGE, "UNSUPPORTED"),
            Self::DeliveryUnknown { .. } => (S::NOT_FOUND, "UNSUPPORTED"),
            Self::Denied(_)
            | Self::NotAdministrator
            | Self::NoAdministrators
            | Self::AnonymousChange
            | Self::ForeignSite => (S::FORBIDDEN, "DENIED"),
            Self::Hidden(_) | Self::Namespace(_) => (S::NOT_FOUND, "NAME_UNKNOWN"),
            Self::TooManyLogins { .. } | Self::TooManyImages { .. } => {
                (S::TOO_MANY_REQUESTS, "TOOMANYREQUESTS")
            }
            Self::Panicked | Self::Registry(_) | Self::Mirror(_) | Self::Upload { .. } => {
                (S::INTERNAL_SERVER_ERROR, "UNKNOWN")
            }
        }
    }
}

/// Cuts a message that is too long for an answer.
fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    message
}

fn span(period: Duration) -> String {
    SpanPrinter::new().unsigned_duration_to_string(&period)
}

/// Whole seconds until a wait has passed, at least one.
fn seconds(wait: Duration) -> u128 {
    wait.as_millis().div_ceil(1000).max(1)
}

/// Detail of a 401, which is null if the request requires no scope, as in distribution.
fn required_detail(required: &RequiredScopes) -> Option<Vec<RequiredScope<'_>>> {
    let scopes: Vec<_> = required.all().map(required_scope).collect();
    (!scopes.is_empty()).then_some(scopes)
}

fn required_scope(scope: &Scope) -> RequiredScope<'_> {
    let (resource, action) = (&scope.resource, scope.permission.as_str());
    RequiredScope {
        r#type: resource.kind(),
        class: "",
        name: resource.name(),
        action,
    }
}

/// Explains the status with which hyper rejected a request.
fn unreadable(status: StatusCode) -> String {
    match status {
        StatusCode::URI_TOO_LONG => {
            "the path and query of a request may have at most 65534 bytes".to_owned()
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            format!(
                "the head of a request may have at most {} KiB and 100 headers, and announce a body of at most 2^64-3 bytes",
                CONNECTION_BUFFER >> 10
            )
        }
        StatusCode::NOT_IMPLEMENTED => {
            "a request body may have no transfer encoding but chunked".to_owned()
        }
        _ => "malformed request: its first line, a header or its announced length".to_owned(),
    }
}

/// Renders a failure to bring content from an upstream, told apart as the upstream does.
fn mirror_error(error: &mirror::Error) -> Rendered {
    use upstream::Error as U;
    let rendered = |status, code| Rendered::new(status, code, error);
    match error {
        mirror::Error::Registry(error) => registry_error(error),
        mirror::Error::Upstream(U::TooManyRequests { retry_after }) => {
            let rendered = rendered(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS");
            match retry_after {
                Some(wait) => rendered.header(RETRY_AFTER, seconds(*wait)),
                None => rendered,
            }
        }
        mirror::Error::Crowded | mirror::Error::Upstream(U::Crowded) => {
            rendered(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS")
                .header(RETRY_AFTER, RETRY_SECONDS)
        }
        mirror::Error::NotAllowed { .. } => rendered(StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        mirror::Error::Upstream(U::Unauthorized(_) | U::NoLogin | U::Denied) => {
            rendered(StatusCode::FORBIDDEN, "DENIED")
        }
        _ => rendered(StatusCode::BAD_GATEWAY, "UNAVAILABLE"),
    }
}

fn registry_error(error: &Error) -> Rendered {
    use StatusCode as S;
    let rendered = |status, code| Rendered::new(status, code, error);
    let malformed = |code| rendered(S::BAD_REQUEST, code);
    match error {
        Error::NameUnknown(_)
        | Error::ManifestUnknown { .. }
        | Error::ManifestDamaged { .. }
        | Error::BlobUnknown { .. }
        | Error::BlobDamaged { .. } => absent(error),
        Error::UploadUnknown(_) => rendered(S::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        Error::UploadBusy(_) => rendered(S::CONFLICT, "BLOB_UPLOAD_INVALID"),
        Error::ChunkOutOfOrder { received } => rendered(S::RANGE_NOT_SATISFIABLE, "RANGE_INVALID")
            .header(RANGE, received_range(*received)),
        Error::SizeMismatch { .. } => malformed("SIZE_INVALID"),
        Error::DigestMismatch { .. } | Error::Digest(_) => malformed("DIGEST_INVALID"),
        Error::ManifestInvalid(_) | Error::ManifestBody(_) | Error::UrlRefused(_) => {
            malformed("MANIFEST_INVALID")
        }
        Error::ManifestTooLarge { .. } => rendered(S::PAYLOAD_TOO_LARGE, "MANIFEST_INVALID"),
        Error::ReferencesUnknown { digests, .. } => {
            let digests: Vec<_> = digests
                .iter()
                .map(|digest| json!({ "digest": digest.as_str() }))
                .collect();
            malformed("MANIFEST_BLOB_UNKNOWN").detail(digests)
        }
        Error::PreconditionFailed => rendered(S::PRECONDITION_FAILED, "UNSUPPORTED"),
        Error::InUse { holder, .. } => rendered(S::METHOD_NOT_ALLOWED, "DENIED")
            .detail(json!({ "holder": holder.as_str() }))
            .header(ALLOW, "GET, HEAD"),
        Error::TagImmutable { .. } | Error::QuotaExceeded { .. } | Error::TagDenied { .. } => {
            forbidden(error)
        }
        Error::TokenName(_) => malformed("UNSUPPORTED"),
        Error::TokenExists(_) => rendered(S::CONFLICT, "UNSUPPORTED"),
        Error::TokenUnknown(_) => rendered(S::NOT_FOUND, "UNSUPPORTED"),
        Error::NothingToRestore(_) => rendered(S::NOT_FOUND, "MANIFEST_UNKNOWN"),
        Error::ClassRefused(_) => rendered(S::FORBIDDEN, "DENIED"),
        Error::DeleteDisabled | Error::ReadOnly | Error::Cache(_) => {
            rendered(S::METHOD_NOT_ALLOWED, "UNSUPPORTED").header(ALLOW, "GET, HEAD")
        }
        Error::Body(_) => malformed("BLOB_UPLOAD_INVALID"),
        Error::StorageFull(_) | Error::Reserve => rendered(S::INSUFFICIENT_STORAGE, "UNAVAILABLE"),
        Error::TakingOver(_) | Error::Overloaded(_) => {
            rendered(S::SERVICE_UNAVAILABLE, "UNAVAILABLE").header(RETRY_AFTER, RETRY_SECONDS)
        }
        Error::DataDirectory { .. }
        | Error::SplitDirectory(_)
        | Error::SectionsMissing { .. }
        | Error::NoRegistry(_)
        | Error::BackedUpTo(_)
        | Error::DatabaseLost(_)
        | Error::BlobsLost(_)
        | Error::Link(_)
        | Error::NoCache(_)
        | Error::Meta(_)
        | Error::Files { .. }
        | Error::Internal(_) => {
            tracing::error!(%error, "internal failure");
            Rendered::new(S::INTERNAL_SERVER_ERROR, "UNKNOWN", INTERNAL)
        }
    }
}

/// Renders the refusal of a change that rules or quotas do not allow.
fn forbidden(error: &Error) -> Rendered {
    let denied = |status| Rendered::new(status, "DENIED", error);
    match error {
        Error::TagImmutable { tag, .. } => {
            denied(StatusCode::CONFLICT).detail(json!({ "tag": tag }))
        }
        Error::TagDenied { tag, .. } => {
            denied(StatusCode::FORBIDDEN).detail(json!({ "tag": tag.as_str() }))
        }
        Error::QuotaExceeded {
            name,
            used,
            limit,
            size,
        } => denied(StatusCode::FORBIDDEN)
            .detail(json!({ "quota": name, "used": used, "limit": limit, "size": size })),
        _ => denied(StatusCode::FORBIDDEN),
    }
}

/// Detail of a 404 for a repository.
fn unknown(name: &RepositoryName) -> serde_json::Value {
    json!({ "name": name.as_str() })
}

/// Renders the error for content that is not there, or damaged and not served.
fn absent(error: &Error) -> Rendered {
    let rendered = |code| Rendered::new(StatusCode::NOT_FOUND, code, error);
    match error {
        Error::NameUnknown(name) => rendered("NAME_UNKNOWN").detail(unknown(name)),
        Error::ManifestUnknown {
            repository,
            reference,
            needed_by,
        } => {
            let detail = json!({ "name": repository.as_str(), "reference": reference });
            rendered("MANIFEST_UNKNOWN").detail(needed(detail, needed_by.as_ref()))
        }
        Error::ManifestDamaged {
            repository,
            reference,
            digest,
            problem,
        } => rendered("MANIFEST_UNKNOWN").detail(json!({
            "name": repository.as_str(), "reference": reference, "digest": digest.as_str(), "damage": problem,
        })),
        Error::BlobDamaged {
            digest, problem, ..
        } => rendered("BLOB_UNKNOWN")
            .detail(json!({ "digest": digest.as_str(), "damage": problem })),
        Error::BlobUnknown {
            digest, needed_by, ..
        } => {
            let detail = json!({ "digest": digest.as_str() });
            rendered("BLOB_UNKNOWN").detail(needed(detail, needed_by.as_ref()))
        }
        _ => rendered("UNKNOWN"),
    }
}

/// Adds the image that lacks some content to the detail of its absence.
fn needed(mut detail: serde_json::Value, by: Option<&Digest>) -> serde_json::Value {
    if let Some(image) = by {
        detail["neededBy"] = json!(image.as_str());
    }
    detail
}

/// Value of `Range` for the bytes received of an upload: `0-0` for none, as in distribution.
pub(crate) fn received_range(received: u64) -> String {
    format!("0-{}", received.saturating_sub(1))
}
