//! Handlers of blobs.

use axum::body::Body;
use http::request::Parts;
use http::{Method, Response, StatusCode};

use crate::http::api::download::content::Content;
use crate::http::api::download::source::Source;
use crate::http::api::handlers::manifests;
use crate::http::api::request::actor::actor;
use crate::http::api::request::conditions::precondition;
use crate::http::connection::send_budget::SendBudget;
use crate::http::connection::sendfile::ConnectionState;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::oci::{Digest, RepositoryName};
use crate::registry::{BlobContent, Error, ManifestReference, Registry};

const OCTET_STREAM: &str = "application/octet-stream";

pub(crate) async fn get(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let found = match head.method == Method::HEAD {
        true => registry.blobs().promise(name, digest).await,
        false => registry.blobs().find(name, digest).await,
    };
    let blob = match found {
        // containerd requests manifests here before it reports the original error
        Err(unknown @ Error::BlobUnknown { .. }) => {
            let reference = ManifestReference::Digest(digest.clone());
            return manifests::get(registry, name, &reference, head)
                .await
                .map_err(|_| ApiError::Registry(unknown));
        }
        other => other?,
    };
    let content = Content {
        digest,
        media_type: OCTET_STREAM,
        size: blob.size,
        is_immutable: true,
    };
    if let Some(answer) = content.check_preconditions(&head.headers)? {
        return Ok(answer);
    }
    if head.method == Method::HEAD {
        return content.answer(&head.headers, None);
    }
    let BlobContent::File(file) = blob.open().await?;
    let source = Source::file(
        file,
        blob.size,
        head.extensions.get::<ConnectionState>(),
        SendBudget::of(head),
    );
    content.answer(&head.headers, Some(source))
}

pub(crate) async fn delete(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let condition = precondition(&head.headers);
    registry
        .blobs()
        .delete(name, digest, condition, actor(head))
        .await?;
    Ok(builder::empty(StatusCode::ACCEPTED).finish())
}
