//! Manifests on the wire.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::answer;
use super::content::{Bytewise, Content};
use super::error::Failure;
use crate::oci::{RepositoryName, TagName};
use crate::registry::{Error, ManifestReference, Registry};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

pub(super) fn get(
    registry: &Registry,
    name: &RepositoryName,
    reference: &ManifestReference,
    head: &Parts,
) -> Result<Response<Body>, Failure> {
    let manifest = registry.manifest(name, reference)?;
    let content = Content {
        digest: &manifest.digest,
        media_type: &manifest.media_type,
        size: manifest.bytes.len() as u64,
        // behind a tag, it may be another one tomorrow
        is_immutable: matches!(reference, ManifestReference::Digest(_)),
    };
    if content.is_held(&head.headers) {
        return Ok(content.not_modified());
    }
    let bytes = if head.method == Method::HEAD { Bytewise::Nothing } else { Bytewise::Memory(manifest.bytes.into()) };
    content.answer(&head.headers, bytes)
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
    let bytes = read(body, limit).await?;
    let pushed = registry.push_manifest(name, reference, tags.clone(), content_type, bytes).await?;
    let mut answer = answer::empty(StatusCode::CREATED).location(format!("/v2/{name}/manifests/{}", pushed.digest)).digest(&pushed.digest);
    if let Some(subject) = &pushed.subject {
        answer = answer.header(OCI_SUBJECT, subject.as_str());
    }
    for tag in &tags {
        answer = answer.another(OCI_TAG, tag.as_str());
    }
    Ok(answer.finish())
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Error> {
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::ManifestTooLarge { limit }),
        Err(error) => Err(Error::Body(error.to_string())),
    }
}

pub(super) async fn delete(registry: &Registry, name: &RepositoryName, reference: &ManifestReference) -> Result<Response<Body>, Failure> {
    registry.delete_manifest(name, reference).await?;
    Ok(answer::empty(StatusCode::ACCEPTED).finish())
}
