//! Pulls from repositories that may show the content of another registry, which is brought here first.

use axum::body::Body;
use http::header::WARNING;
use http::request::Parts;
use http::{HeaderValue, Response};

use crate::http::api::handlers::{blobs, manifests};
use crate::http::response::error::ApiError;
use crate::mirror::{Currency, Mirrors};
use crate::oci::{Digest, RepositoryName};
use crate::registry::{ManifestReference, Registry};

/// Warning that the upstream could not be asked (RFC 7234, section 5.5.2).
const STALE: &str = "111 - \"Revalidation Failed\"";

pub(crate) async fn get_manifest(
    mirrors: &Mirrors,
    registry: &Registry,
    name: &RepositoryName,
    reference: &ManifestReference,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let currency = mirrors.bring_manifest(registry, name, reference).await?;
    let mut answer = manifests::get(registry, name, reference, head).await?;
    if currency == Currency::Stale {
        let warning = HeaderValue::from_static(STALE);
        answer.headers_mut().insert(WARNING, warning);
    }
    Ok(answer)
}

pub(crate) async fn get_blob(
    mirrors: &Mirrors,
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    mirrors.bring_blob(registry, name, digest).await?;
    blobs::get(registry, name, digest, head).await
}
