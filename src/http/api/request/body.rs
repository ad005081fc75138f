//! Small bodies of requests, read as a whole.

use axum::body::{Body, Bytes};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::http::limits::BODY_TIMEOUT;
use crate::http::response::error::ApiError;

/// Maximum length of a form or an object, in bytes.
const LONGEST: usize = 128 << 10;

/// Fault of a body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("it took too long to arrive")]
    Slow,
    #[error("it is longer than {} KiB", .0 >> 10)]
    Long(usize),
    #[error("{0}")]
    Broken(String),
}

/// Reads a body of a limited length.
///
/// # Errors
/// Every [`BodyFault`].
pub(crate) async fn whole(body: Body, limit: usize) -> Result<Bytes, BodyFault> {
    let whole = timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await;
    match whole.map_err(|_| BodyFault::Slow)? {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyFault::Long(limit)),
        Err(error) => Err(BodyFault::Broken(error.to_string())),
    }
}

/// Reads an object of JSON. Forms of other pages cannot send its type.
///
/// # Errors
/// [`ApiError::Parameter`].
pub(crate) async fn object<T: DeserializeOwned>(head: &Parts, body: Body) -> Result<T, ApiError> {
    let kind = head.headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(ApiError::Parameter(
            "the body must be JSON, with Content-Type: application/json".to_owned(),
        ));
    }
    let malformed = |cause: &dyn std::fmt::Display| {
        ApiError::Parameter(format!("cannot read the body: {cause}"))
    };
    let whole = whole(body, LONGEST).await;
    let whole = whole.map_err(|fault| malformed(&fault))?;
    serde_json::from_slice(&whole).map_err(|error| malformed(&error))
}

/// Fields of a form.
pub(crate) struct Form(Bytes);

impl Form {
    /// Reads a form.
    ///
    /// # Errors
    /// [`ApiError::Parameter`].
    pub(crate) async fn read(body: Body) -> Result<Self, ApiError> {
        let whole = whole(body, LONGEST).await;
        let malformed = |fault| ApiError::Parameter(format!("cannot read the form: {fault}"));
        whole.map(Self).map_err(malformed)
    }

    /// Returns a field that was filled in, without blanks around it.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = self.raw(name)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Returns all fields of a name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let fields = form_urlencoded::parse(&self.0);
        let found = fields.filter(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).collect()
    }

    /// Returns a field as it was sent.
    pub(crate) fn raw(&self, name: &str) -> Option<String> {
        let mut fields = form_urlencoded::parse(&self.0);
        let found = fields.find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    }
}
