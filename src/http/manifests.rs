//! Manifests on the wire.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;

use super::content::{Bytewise, Content};
use super::error::Failure;
use super::{actor, answer};
use crate::oci::{RepositoryName, TagName};
use crate::registry::{Error, ManifestReference, Registry};

/// How long a manifest may take to arrive: it is held in memory meanwhile.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Manifests up to this size do not wait for room.
const ORDINARY_SIZE: usize = 64 << 10;

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

pub(super) async fn get(
    registry: &Registry,
    name: &RepositoryName,
    reference: &ManifestReference,
    head: &Parts,
) -> Result<Response<Body>, Failure> {
    let is_head = head.method == Method::HEAD;
    let manifest = if is_head { registry.promise_manifest(name, reference).await? } else { registry.manifest(name, reference)? };
    let content = Content {
        digest: &manifest.digest,
        media_type: &manifest.media_type,
        size: manifest.bytes.len() as u64,
        // behind a tag, it may be another one tomorrow
        is_immutable: matches!(reference, ManifestReference::Digest(_)),
    };
    if let Some(answer) = content.unneeded(&head.headers)? {
        return Ok(answer);
    }
    if is_head {
        return content.answer(&head.headers, Bytewise::Nothing);
    }
    registry.count_pull(&manifest, reference);
    content.answer(&head.headers, Bytewise::Memory(manifest.bytes.clone()))
}

pub(super) async fn put(
    registry: &Registry,
    name: &RepositoryName,
    reference: ManifestReference,
    tags: Vec<TagName>,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, Failure> {
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let limit = registry.settings().manifest_limit;
    // before the first byte is asked for, where the client says how many there will be
    if body.size_hint().lower() > limit as u64 {
        return Err(Error::ManifestTooLarge { limit }.into());
    }
    let (bytes, room) = read(registry, body).await?;
    let pushed = registry.push_manifest(name, reference, tags.clone(), content_type, bytes, actor(head)).await?;
    let mut answer = answer::empty(StatusCode::CREATED).location(format!("/v2/{name}/manifests/{}", pushed.digest)).digest(&pushed.digest);
    if let Some(subject) = &pushed.subject {
        answer = answer.header(OCI_SUBJECT, subject.as_str());
    }
    drop(room);
    for tag in &tags {
        answer = answer.another(OCI_TAG, tag.as_str());
    }
    Ok(answer.finish())
}

/// Reads a whole manifest, from clients that send it in reasonable time. A large one waits for room in memory, which is
/// kept until it is stored.
async fn read(registry: &Registry, mut body: Body) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Error> {
    let limit = registry.settings().manifest_limit;
    let reading = async {
        let (mut bytes, mut room) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let chunk = frame.map_err(|error| Error::ManifestBody(error.to_string()))?.into_data().unwrap_or_default();
            if bytes.len() + chunk.len() > limit {
                return Err(Error::ManifestTooLarge { limit });
            }
            if room.is_none() && bytes.len() + chunk.len() > ORDINARY_SIZE {
                room =
                    registry.reserve_memory(body.size_hint().upper().map_or(limit, |rest| rest as usize + bytes.len() + chunk.len())).await;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((bytes.freeze(), room))
    };
    let late = |_| Err(Error::ManifestBody("it took longer than a minute to arrive".to_owned()));
    tokio::time::timeout(BODY_TIMEOUT, reading).await.unwrap_or_else(late)
}

pub(super) async fn delete(
    registry: &Registry,
    name: &RepositoryName,
    reference: &ManifestReference,
    head: &Parts,
) -> Result<Response<Body>, Failure> {
    registry.delete_manifest(name, reference, actor(head)).await?;
    Ok(answer::empty(StatusCode::ACCEPTED).finish())
}

/// Ours: the specification has no word for it.
pub(super) async fn delete_repository(registry: &Registry, name: &RepositoryName, head: &Parts) -> Result<Response<Body>, Failure> {
    registry.delete_repository(name, actor(head)).await?;
    Ok(answer::empty(StatusCode::ACCEPTED).finish())
}
