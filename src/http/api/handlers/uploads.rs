//! Handlers of uploads.

use axum::body::Body;
use http::header::RANGE;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::Body as _;

use crate::http::api::download::range;
use crate::http::api::request::actor::actor;
use crate::http::api::request::conditions::precondition;
use crate::http::connection::sendfile::ConnectionState;
use crate::http::connection::upload_body::UploadBody;
use crate::http::response::builder::{self, DOCKER_UPLOAD_UUID, ResponseBuilder};
use crate::http::response::error::{ApiError, received_range};
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::registry::{BodyStream, ClosingRequest, Error, Registry, UploadId, UploadStatus};

pub(crate) async fn begin(
    registry: &Registry,
    name: &RepositoryName,
    algorithm: Algorithm,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let status = registry
        .uploads()
        .begin(name, algorithm, actor(head))
        .await?;
    Ok(progress(StatusCode::ACCEPTED, name, &status).finish())
}

pub(crate) async fn mount(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    from: Option<&RepositoryName>,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    if registry
        .blobs()
        .mount(name, digest, from, actor(head))
        .await?
    {
        Ok(created(name, digest))
    } else {
        begin(registry, name, digest.algorithm(), head).await
    }
}

pub(crate) async fn push(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    registry
        .blobs()
        .push(
            name,
            digest,
            length(&body),
            content(head, body),
            actor(head),
        )
        .await?;
    Ok(created(name, digest))
}

pub(crate) async fn status(
    registry: &Registry,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response<Body>, ApiError> {
    let status = registry.uploads().status(name, id).await?;
    Ok(progress(StatusCode::NO_CONTENT, name, &status).finish())
}

pub(crate) async fn append(
    registry: &Registry,
    name: &RepositoryName,
    id: &UploadId,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let range = range::chunk(&head.headers)?;
    let announced = length(&body);
    let status = registry
        .uploads()
        .append(name, id, range, announced, content(head, body), actor(head))
        .await
        .map_err(|error| with_location(name, id, error))?;
    Ok(progress(StatusCode::ACCEPTED, name, &status).finish())
}

pub(crate) async fn finish(
    registry: &Registry,
    name: &RepositoryName,
    id: &UploadId,
    digest: &Digest,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let request = ClosingRequest {
        digest: digest.clone(),
        length: length(&body),
        range: range::chunk(&head.headers)?,
        condition: precondition(&head.headers),
    };
    registry
        .uploads()
        .finish(name, id, request, content(head, body), actor(head))
        .await
        .map_err(|error| with_location(name, id, error))?;
    Ok(created(name, digest))
}

pub(crate) async fn cancel(
    registry: &Registry,
    name: &RepositoryName,
    id: &UploadId,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    registry.uploads().cancel(name, id, actor(head)).await?;
    Ok(builder::empty(StatusCode::NO_CONTENT)
        .header(DOCKER_UPLOAD_UUID, id.as_str())
        .finish())
}

/// Returns the length of a body, if its headers say so.
fn length(body: &Body) -> Option<u64> {
    body.size_hint().exact()
}

fn content(head: &Parts, body: Body) -> impl BodyStream {
    UploadBody::new(body, head.extensions.get::<ConnectionState>().cloned())
}

/// Returns the location of an upload, which has a query, as in distribution: many clients append `&digest=` to it
/// without looking. The parameter means nothing.
fn upload_path(name: &RepositoryName, id: &UploadId) -> String {
    format!("/v2/{name}/blobs/uploads/{id}?_state=open")
}

/// Adds the upload's location to the error of a rejected chunk, so that the client can continue.
fn with_location(name: &RepositoryName, id: &UploadId, error: Error) -> ApiError {
    match error {
        error @ Error::ChunkOutOfOrder { .. } => ApiError::Upload {
            location: upload_path(name, id),
            error,
        },
        error => ApiError::Registry(error),
    }
}

fn progress(code: StatusCode, name: &RepositoryName, status: &UploadStatus) -> ResponseBuilder {
    builder::empty(code)
        .location(upload_path(name, &status.id))
        .header(RANGE, received_range(status.received))
        .header(DOCKER_UPLOAD_UUID, status.id.as_str())
}

fn created(name: &RepositoryName, digest: &Digest) -> Response<Body> {
    builder::empty(StatusCode::CREATED)
        .location(format!("/v2/{name}/blobs/{digest}"))
        .digest(digest)
        .finish()
}
