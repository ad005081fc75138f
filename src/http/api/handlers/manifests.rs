//! Handlers of manifests.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::events::{Descriptor, EventKind};
use crate::http::api::download::content::Content;
use crate::http::api::download::source::Source;
use crate::http::api::handlers::pull_events::note_pull;
use crate::http::api::request::actor::actor;
use crate::http::api::request::conditions::precondition;
use crate::http::api::request::rights::tag_changes;
use crate::http::connection::send_budget::SendBudget;
use crate::http::limits::BODY_TIMEOUT;
use crate::http::proxy::client::Client;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::oci::{RepositoryName, TagName};
use crate::registry::{Error, ManifestPush, ManifestReference, ManifestReservation, Registry};

/// Maximum time for the rest of a manifest while others wait for memory.
const CONTENDED_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of a manifest that needs no reservation of memory, in bytes.
const UNRESERVED_SIZE: usize = 8 << 10;

/// Maximum number of headers that name tags. Common clients fail at 100 headers in a response; 64 in all leave room for
/// proxies.
const TAG_HEADERS: usize = 40;

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

pub(crate) async fn get(
    registry: &Registry,
    name: &RepositoryName,
    reference: &ManifestReference,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let is_head = head.method == Method::HEAD;
    let manifest = registry.manifests().promise(name, reference).await?;
    let content = Content {
        digest: &manifest.digest,
        media_type: &manifest.media_type,
        size: Some(manifest.bytes.len() as u64),
        // a tag may move
        is_immutable: matches!(reference, ManifestReference::Digest(_)),
    };
    if let Some(answer) = content.check_preconditions(&head.headers)? {
        registry
            .manifests()
            .count_check(name, &manifest, reference)
            .await?;
        return Ok(answer);
    }
    let kind = match is_head {
        true => EventKind::ManifestChecked,
        false => EventKind::ManifestPulled,
    };
    let (manifests, counted) = (registry.manifests(), &*manifest);
    match is_head {
        true => manifests.count_check(name, counted, reference).await?,
        false => manifests.count_pull(name, counted, reference).await?,
    }
    let target = || Descriptor {
        media_type: manifest.media_type.clone(),
        digest: manifest.digest.as_str().to_owned(),
        size: manifest.bytes.len() as u64,
    };
    let tag = match reference {
        ManifestReference::Tag(tag) => Some(tag),
        ManifestReference::Digest(_) => None,
    };
    note_pull(registry, name, kind, target, tag, head);
    if is_head {
        return content.answer(&head.headers, None);
    }
    let (digest, budget) = (&manifest.digest, SendBudget::of(head));
    let source = Source::manifest(registry, name, digest, &manifest.bytes, budget);
    content.answer(&head.headers, Some(source))
}

pub(crate) async fn put(
    registry: &Registry,
    name: &RepositoryName,
    reference: ManifestReference,
    tags: Vec<TagName>,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let content_type = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let limit = registry.settings().manifest_limit;
    // rejected before the body is read, if the client announces its length
    if body.size_hint().lower() > limit as u64 {
        return Err(Error::ManifestTooLarge { limit }.into());
    }
    let reservation = registry
        .manifests()
        .reserve_memory(Client::address_of(head));
    let (bytes, reservation) = read(registry, body, reservation).await?;
    let push = ManifestPush {
        reference,
        tags: tags.clone(),
        content_type,
        bytes,
        condition: precondition(&head.headers),
        tag_changes: tag_changes(head, name),
    };
    let pushed = registry.manifests().push(name, push, actor(head)).await?;
    let mut answer = builder::empty(StatusCode::CREATED)
        .location(format!("/v2/{name}/manifests/{}", pushed.digest))
        .digest(&pushed.digest);
    if let Some(subject) = &pushed.subject {
        answer = answer.header(OCI_SUBJECT, subject.as_str());
    }
    drop(reservation);
    let (single, rest) = tags.split_at(tags.len().min(TAG_HEADERS - 1));
    for tag in single {
        answer = answer.another(OCI_TAG, tag.as_str());
    }
    if !rest.is_empty() {
        // a list in one header means the same (RFC 9110, section 5.3)
        let rest: Vec<_> = rest.iter().map(TagName::as_str).collect();
        answer = answer.another(OCI_TAG, &rest.join(", "));
    }
    Ok(answer.finish())
}

/// Reads a whole manifest, in limited time. A large one reserves memory as it arrives; the reservation ends when the
/// manifest is stored.
async fn read(
    registry: &Registry,
    mut body: Body,
    mut reservation: ManifestReservation,
) -> Result<(Bytes, ManifestReservation), Error> {
    let limit = registry.settings().manifest_limit;
    let mut bytes = BytesMut::new();
    let mut deadline = Instant::now() + BODY_TIMEOUT;
    let late = |_| {
        Error::ManifestBody(
            "it took too long to arrive: more than a minute, or ten seconds while other pushes waited"
                .to_owned(),
        )
    };
    while let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(late)? {
        let chunk = frame
            .map_err(|error| Error::ManifestBody(error.to_string()))?
            .into_data()
            .unwrap_or_default();
        let length = bytes.len() + chunk.len();
        if length > limit {
            return Err(Error::ManifestTooLarge { limit });
        }
        if length > UNRESERVED_SIZE {
            let was_overdraft = reservation.is_overdraft();
            timeout_at(deadline, reservation.grow_to(length))
                .await
                .map_err(late)?;
            if reservation.is_overdraft() && !was_overdraft {
                deadline = deadline.min(Instant::now() + CONTENDED_TIMEOUT);
            }
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes.freeze(), reservation))
}

pub(crate) async fn delete(
    registry: &Registry,
    name: &RepositoryName,
    reference: &ManifestReference,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    registry
        .manifests()
        .delete(name, reference, precondition(&head.headers), actor(head))
        .await?;
    Ok(builder::empty(StatusCode::ACCEPTED).finish())
}

/// Deletes a repository, an extension of the specification.
pub(crate) async fn delete_repository(
    registry: &Registry,
    name: &RepositoryName,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    registry.repositories().delete(name, actor(head)).await?;
    Ok(builder::empty(StatusCode::ACCEPTED).finish())
}
