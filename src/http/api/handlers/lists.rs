//! Handlers of lists: a page, and a link to the next.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderName, LINK};
use http::request::Parts;
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::http::api::handlers::list_room::ListRoom;
use crate::http::api::request::query::{PageQuery, SearchQuery};
use crate::http::api::request::rights::visibility;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::oci::{Digest, MediaType, Referrer, RepositoryName};
use crate::registry::Registry;

const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Lists, and the room in which they wait for their client.
pub(crate) struct Lists<'l> {
    pub registry: &'l Registry,
    room: &'l ListRoom,
    head: &'l Parts,
}

/// Page of tags, in the key order of distribution.
#[derive(Serialize)]
struct TagList<'l> {
    name: &'l str,
    tags: Vec<String>,
}

#[derive(Serialize)]
struct Catalog {
    repositories: Vec<String>,
}

/// Page of referrers, an image index.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferrersIndex {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Referrer>,
}

impl<'l> Lists<'l> {
    pub(crate) fn new(registry: &'l Registry, room: &'l ListRoom, head: &'l Parts) -> Self {
        Self {
            registry,
            room,
            head,
        }
    }

    /// Answers with what `make` makes, once there is room for it.
    pub(crate) async fn answer<F>(&self, make: impl Fn() -> F) -> Result<Response<Body>, ApiError>
    where
        F: Future<Output = Result<Response<String>, ApiError>>,
    {
        self.room.answer(self.head, make).await
    }

    pub(crate) async fn tags(
        &self,
        name: &RepositoryName,
        query: PageQuery,
    ) -> Result<Response<Body>, ApiError> {
        let make = || async {
            let tags = self.registry.tags();
            let page = tags.list(name, query.last.clone(), query.n).await?;
            let list = TagList {
                name: name.as_str(),
                tags: page.items,
            };
            let path = format!("/v2/{name}/tags/list");
            Ok(paged(&path, &list, query.n, page.next))
        };
        self.answer(make).await
    }

    pub(crate) async fn catalog(&self, query: PageQuery) -> Result<Response<Body>, ApiError> {
        let make = || async {
            let repositories = self.registry.repositories();
            let (shown, last) = (visibility(self.head), query.last.clone());
            let page = repositories.catalog(shown, last, query.n).await?;
            let list = Catalog {
                repositories: page.items,
            };
            Ok(paged("/v2/_catalog", &list, query.n, page.next))
        };
        self.answer(make).await
    }

    pub(crate) async fn referrers(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        artifact_type: Option<String>,
        last: String,
    ) -> Result<Response<Body>, ApiError> {
        let filter = artifact_type.filter(|text| !text.is_empty());
        let make = || async {
            let manifests = self.registry.manifests();
            let page = manifests
                .referrers(name, digest, filter.clone(), last.clone())
                .await?;
            let index = ReferrersIndex {
                schema_version: 2,
                media_type: MediaType::OCI_INDEX,
                manifests: page.items,
            };
            let mut answer =
                builder::empty(StatusCode::OK).header(CONTENT_TYPE, MediaType::OCI_INDEX);
            if filter.is_some() {
                answer = answer.header(OCI_FILTERS_APPLIED, "artifactType");
            }
            let mut response = answer.json(&index);
            if let Some(last) = page.next {
                let mut query = form_urlencoded::Serializer::new(String::new());
                query.append_pair("last", &last);
                if let Some(artifact_type) = &filter {
                    query.append_pair("artifactType", artifact_type);
                }
                let path = format!("/v2/{name}/referrers/{digest}");
                link(&mut response, &path, &query.finish());
            }
            Ok(response)
        };
        self.answer(make).await
    }

    /// Responds as `docker search HOST/TERM` expects of version 1 of the API.
    pub(crate) async fn search(
        &self,
        SearchQuery { term, count, page }: SearchQuery,
    ) -> Result<Response<Body>, ApiError> {
        let (count, page) = (count.clamp(1, 100), page.max(1));
        let make = || async {
            let repositories = self.registry.repositories();
            let shown = visibility(self.head);
            let names = repositories
                .search(shown, term.clone(), count, page)
                .await?;
            let results: Vec<_> = names
                .iter()
                .map(|name| json!({ "name": name, "description": "", "star_count": 0, "is_official": false, "is_automated": false, "is_trusted": false }))
                .collect();
            let body = json!({ "query": term, "num_results": results.len(), "page": page, "page_size": count, "results": results });
            Ok(json_list(&body))
        };
        self.answer(make).await
    }
}

fn json_list(body: &impl Serialize) -> Response<String> {
    builder::empty(StatusCode::OK)
        .header(CONTENT_TYPE, "application/json")
        .json(body)
}

fn paged(
    path: &str,
    body: &impl Serialize,
    n: Option<usize>,
    next: Option<String>,
) -> Response<String> {
    let mut response = json_list(body);
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

fn link(response: &mut Response<String>, path: &str, query: &str) {
    if let Ok(value) = format!("<{path}?{query}>; rel=\"next\"").parse() {
        response.headers_mut().insert(LINK, value);
    }
}
