//! Handlers of lists: a page, and a link to the next.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderName, LINK};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::json;

use crate::http::api::request::query::{PageQuery, SearchQuery};
use crate::http::api::request::rights::visibility;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::oci::{Digest, MediaType, RepositoryName};
use crate::registry::Registry;

const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

pub(crate) async fn tags(
    registry: &Registry,
    name: &RepositoryName,
    query: PageQuery,
) -> Result<Response<Body>, ApiError> {
    let page = registry.tags().list(name, query.last, query.n).await?;
    let body = json!({ "name": name.as_str(), "tags": page.items });
    Ok(list(
        &format!("/v2/{name}/tags/list"),
        body,
        query.n,
        page.next,
    ))
}

pub(crate) async fn catalog(
    registry: &Registry,
    query: PageQuery,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let page = registry
        .repositories()
        .catalog(visibility(head), query.last, query.n)
        .await?;
    Ok(list(
        "/v2/_catalog",
        json!({ "repositories": page.items }),
        query.n,
        page.next,
    ))
}

fn list(
    path: &str,
    body: serde_json::Value,
    n: Option<usize>,
    next: Option<String>,
) -> Response<Body> {
    let mut response = builder::json(StatusCode::OK, body.to_string());
    if let Some(last) = next {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("last", &last);
        if let Some(n) = n {
            query.append_pair("n", &n.to_string());
        }
        link(&mut response, path, &query.finish());
    }
    response
}

fn link(response: &mut Response<Body>, path: &str, query: &str) {
    if let Ok(value) = format!("<{path}?{query}>; rel=\"next\"").parse() {
        response.headers_mut().insert(LINK, value);
    }
}

pub(crate) async fn referrers(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    artifact_type: Option<String>,
    last: String,
) -> Result<Response<Body>, ApiError> {
    let filter = artifact_type.filter(|text| !text.is_empty());
    let page = registry
        .manifests()
        .referrers(name, digest, filter.clone(), last)
        .await?;
    let body =
        json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": page.items })
            .to_string();
    let mut answer = builder::empty(StatusCode::OK).header(CONTENT_TYPE, MediaType::OCI_INDEX);
    if filter.is_some() {
        answer = answer.header(OCI_FILTERS_APPLIED, "artifactType");
    }
    let mut response = answer.body(body.len() as u64, Body::from(body)).finish();
    if let Some(last) = page.next {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("last", &last);
        if let Some(artifact_type) = &filter {
            query.append_pair("artifactType", artifact_type);
        }
        link(
            &mut response,
            &format!("/v2/{name}/referrers/{digest}"),
            &query.finish(),
        );
    }
    Ok(response)
}

/// Responds as `docker search HOST/TERM` expects of version 1 of the API.
pub(crate) async fn search(
    registry: &Registry,
    SearchQuery { term, count, page }: SearchQuery,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let count = count.clamp(1, 100);
    let names = registry
        .repositories()
        .search(visibility(head), term.clone(), count, page.max(1))
        .await?;
    let results: Vec<_> = names
        .iter()
        .map(|name| json!({ "name": name, "description": "", "star_count": 0, "is_official": false, "is_automated": false, "is_trusted": false }))
        .collect();
    let body = json!({ "query": term, "num_results": results.len(), "page": page.max(1), "page_size": count, "results": results });
    Ok(builder::json(StatusCode::OK, body.to_string()))
}
