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
use crate::registry::{BlobContent, Error, GrowingBlob, ManifestReference, Registry};

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
    let shown = Shown {
        registry,
        name,
        digest,
        size: Some(blob.size),
        head,
    };
    match shown.without_content()? {
        Some(answer) => Ok(answer),
        None => shown.with(BlobContent::File(blob.open().await?)),
    }
}

/// Responds with a blob that is arriving from another registry.
pub(crate) fn get_arriving(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    blob: GrowingBlob,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let shown = Shown {
        registry,
        name,
        digest,
        size: blob.size(),
        head,
    };
    match shown.without_content()? {
        Some(answer) => Ok(answer),
        None => shown.with(BlobContent::Growing(blob)),
    }
}

/// Responds to a HEAD about a blob that another registry has, of a size if that is known.
pub(crate) fn head_elsewhere(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    size: Option<u64>,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let shown = Shown {
        registry,
        name,
        digest,
        size,
        head,
    };
    let answer = shown.without_content()?;
    answer.map_or_else(|| shown.content().answer(&head.headers, None), Ok)
}

/// A blob that a client asks for.
struct Shown<'r> {
    registry: &'r Registry,
    name: &'r RepositoryName,
    digest: &'r Digest,
    /// In bytes, if it is known.
    size: Option<u64>,
    head: &'r Parts,
}

impl Shown<'_> {
    fn content(&self) -> Content<'_> {
        Content {
            digest: self.digest,
            media_type: OCTET_STREAM,
            size: self.size,
            is_immutable: true,
        }
    }

    /// Responds where the content itself is not asked for, and notes the pull.
    fn without_content(&self) -> Result<Option<Response<Body>>, ApiError> {
        let content = self.content();
        if let Some(answer) = content.check_preconditions(&self.head.headers)? {
            return Ok(Some(answer));
        }
        let is_head = self.head.method == Method::HEAD;
        let kind = match is_head {
            true => EventKind::BlobChecked,
            false => EventKind::BlobPulled,
        };
        let target = || Descriptor {
            media_type: OCTET_STREAM.to_owned(),
            digest: self.digest.as_str().to_owned(),
            size: self.size.unwrap_or_default(),
        };
        note_pull(self.registry, self.name, kind, target, None, self.head);
        match is_head {
            true => content.answer(&self.head.headers, None).map(Some),
            false => Ok(None),
        }
    }

    fn with(&self, blob: BlobContent) -> Result<Response<Body>, ApiError> {
        let source = Source::blob(
            blob,
            self.size,
            self.head.extensions.get::<ConnectionState>(),
            SendBudget::of(self.head),
        );
        self.content().answer(&self.head.headers, Some(source))
    }
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
