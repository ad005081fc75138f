//! Uploads on the wire.

use axum::body::Body;
use futures_util::TryStreamExt;
use http::header::RANGE;
use http::request::Parts;
use http::{Response, StatusCode};

use super::answer::{self, Answer, DOCKER_UPLOAD_UUID};
use super::error::{Failure, received_range};
use super::range;
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::registry::{BodyError, BodyStream, Error, Registry, UploadId, UploadStatus};

pub(super) async fn begin(
    registry: &Registry,
    name: &RepositoryName,
    algorithm: Algorithm,
) -> Result<Response<Body>, Failure> {
    let status = registry.begin_upload(name, algorithm).await?;
    Ok(progress(StatusCode::ACCEPTED, name, &status).finish())
}

pub(super) async fn mount(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    from: Option<&RepositoryName>,
) -> Result<Response<Body>, Failure> {
    if registry.mount_blob(name, digest, from).await? {
        Ok(created(name, digest))
    } else {
        begin(registry, name, digest.algorithm()).await
    }
}

pub(super) async fn push(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    body: Body,
) -> Result<Response<Body>, Failure> {
    registry.push_blob(name, digest, content(body)).await?;
    Ok(created(name, digest))
}

pub(super) async fn status(
    registry: &Registry,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response<Body>, Failure> {
    let status = registry.upload_status(name, id).await?;
    Ok(progress(StatusCode::NO_CONTENT, name, &status).finish())
}

pub(super) async fn append(
    registry: &Registry,
    name: &RepositoryName,
    id: &UploadId,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, Failure> {
    let range = range::chunk(&head.headers)?;
    let status = registry
        .append_upload(name, id, range, content(body))
        .await
        .map_err(|error| telling_where(name, id, error))?;
    Ok(progress(StatusCode::ACCEPTED, name, &status).finish())
}

pub(super) async fn finish(
    registry: &Registry,
    name: &RepositoryName,
    id: &UploadId,
    digest: &Digest,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, Failure> {
    let range = range::chunk(&head.headers)?;
    registry
        .finish_upload(name, id, digest, range, content(body))
        .await
        .map_err(|error| telling_where(name, id, error))?;
    Ok(created(name, digest))
}

pub(super) async fn cancel(
    registry: &Registry,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response<Body>, Failure> {
    registry.cancel_upload(name, id).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT)
        .header(DOCKER_UPLOAD_UUID, id.as_str())
        .finish())
}

fn content(body: Body) -> impl BodyStream {
    body.into_data_stream().map_err(BodyError::from)
}

fn upload_path(name: &RepositoryName, id: &UploadId) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// A refused chunk comes with what the client needs to go on.
fn telling_where(name: &RepositoryName, id: &UploadId, error: Error) -> Failure {
    match error {
        error @ Error::ChunkOutOfOrder { .. } => Failure::Upload {
            location: upload_path(name, id),
            error,
        },
        error => Failure::Registry(error),
    }
}

fn progress(code: StatusCode, name: &RepositoryName, status: &UploadStatus) -> Answer {
    answer::empty(code)
        .location(upload_path(name, &status.id))
        .header(RANGE, received_range(status.received))
        .header(DOCKER_UPLOAD_UUID, status.id.as_str())
}

fn created(name: &RepositoryName, digest: &Digest) -> Response<Body> {
    answer::empty(StatusCode::CREATED)
        .location(format!("/v2/{name}/blobs/{digest}"))
        .digest(digest)
        .finish()
}
