//! Blobs on the wire.

use axum::body::Body;
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::allowance::Allowance;
use super::answer;
use super::body::FileSource;
use super::content::{Bytewise, Content};
use super::error::Failure;
use super::manifests;
use super::sendfile::SendSlot;
use crate::oci::{Digest, RepositoryName};
use crate::registry::{Error, ManifestReference, Registry};

const OCTET_STREAM: &str = "application/octet-stream";

pub(super) async fn get(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    head: &Parts,
) -> Result<Response<Body>, Failure> {
    let size = match registry.promise_blob(name, digest).await {
        // containerd looks for manifests here before it reports what really went wrong
        Err(unknown @ Error::BlobUnknown { .. }) => {
            let reference = ManifestReference::Digest(digest.clone());
            return manifests::get(registry, name, &reference, head)
                .await
                .map_err(|_| Failure::Registry(unknown));
        }
        other => other?,
    };
    let content = Content {
        digest,
        media_type: OCTET_STREAM,
        size,
        is_immutable: true,
    };
    if let Some(answer) = content.unneeded(&head.headers)? {
        return Ok(answer);
    }
    if head.method == Method::HEAD {
        return content.answer(&head.headers, Bytewise::Nothing);
    }
    let blob = registry.open_blob(name, digest).await?;
    let allowance = head
        .extensions
        .get::<Allowance>()
        .cloned()
        .unwrap_or_default();
    let source = FileSource::new(
        blob.file,
        blob.size,
        head.extensions.get::<SendSlot>(),
        &allowance,
    );
    content.answer(&head.headers, Bytewise::File(source))
}

pub(super) async fn delete(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response<Body>, Failure> {
    registry.delete_blob(name, digest).await?;
    Ok(answer::empty(StatusCode::ACCEPTED).finish())
}
