//! Handlers of blobs.

use axum::body::Body;
use http::request::Parts;
use http::{Method, Response, StatusCode};

use crate::events::{Descriptor, EventKind};
use crate::http::api::download::content::Content;
use crate::http::api::download::source::Source;
use crate::http::api::handlers::manifests;
use crate::http::api::handlers::pull_events::note_pull;
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
    let is_head = head.method == Method::HEAD;
    let kind = match is_head {
        true => EventKind::BlobChecked,
        false => EventKind::BlobPulled,
    };
    let target = || Descriptor {
        media_type: OCTET_STREAM.to_owned(),
        digest: digest.as_str().to_owned(),
        size: blob.size,
    };
    note_pull(registry, name, kind, target, None, head);
    if is_head {
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
