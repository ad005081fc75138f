//! Handlers of lists: a page, and a link to the next.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderName, LINK, WARNING};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::http::api::handlers::list_room::ListRoom;
use crate::http::api::handlers::merged;
use crate::http::api::handlers::mirrors::STALE;
use crate::http::api::request::query::{PageQuery, SearchQuery};
use crate::http::api::request::rights::visibility;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::mirror::{self, Listed, Mirrors, ReferrersPart};
use crate::oci::{Digest, MediaType, Referrer, RepositoryName};
use crate::registry::{self, Page, Registry};

const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Lists, and the room in which they wait for their client.
pub(crate) struct Lists<'l> {
    pub registry: &'l Registry,
    mirrors: &'l Mirrors,
    room: &'l ListRoom,
    head: &'l Parts,
}

/// Page of tags, in the key order of distribution.
#[derive(Serialize)]
struct TagList<'l> {
    name: &'l str,
    tags: Vec<String>,
    /// Those of a cache that are here; the others are the upstream's only. Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    cached: Option<Vec<String>>,
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
    pub(crate) fn new(
        registry: &'l Registry,
        mirrors: &'l Mirrors,
        room: &'l ListRoom,
        head: &'l Parts,
    ) -> Self {
        Self {
            registry,
            mirrors,
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
        let limit = self.registry.settings().pages.tags;
        let limit = query.n.unwrap_or(usize::MAX).min(limit);
        // one more, which says whether the list goes on
        let part = limit.saturating_add(1);
        let (mirrors, last) = (self.mirrors, &query.last);
        let listed = mirrors.upstream_tags(self.registry, name, last, part);
        let listed = listed.await?;
        let make = || async {
            let tags = self.registry.tags();
            let here = tags.list(name, query.last.clone(), query.n).await;
            let (page, cached) = match &listed {
                Listed::Nothing => {
                    if let Err(registry::Error::NameUnknown(_)) = here {
                        self.mirrors.check_allowed(name)?;
                    }
                    (here?, None)
                }
                Listed::Failed(error) => (here.map_err(|absent| failure(absent, error))?, None),
                Listed::Found(upstream) => {
                    let here = present_or_empty(here)?;
                    let cached = here.items.clone();
                    let merged = merged::tags(here, upstream, &query.last, limit);
                    (merged, Some(cached))
                }
            };
            let list = TagList {
                name: name.as_str(),
                cached: cached.map(|mut tags| {
                    tags.retain(|tag| page.items.binary_search(tag).is_ok());
                    tags
                }),
                tags: page.items,
            };
            let path = format!("/v2/{name}/tags/list");
            Ok(paged(&path, &list, query.n, page.next))
        };
        Ok(marked(self.answer(make).await?, &listed))
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
        let part = ReferrersPart {
            after: &last,
            artifact_type: filter.as_deref(),
            limit: merged::REFERRERS + 1,
        };
        let mirrors = self.mirrors;
        let listed = mirrors.upstream_referrers(self.registry, name, digest, part);
        let listed = listed.await?;
        let make = || async {
            let manifests = self.registry.manifests();
            let page = manifests
                .referrers(name, digest, filter.clone(), last.clone())
                .await?;
            let page = match &listed {
                Listed::Found(upstream) => {
                    merged::referrers(page, upstream, &last, filter.as_deref())
                }
                Listed::Nothing | Listed::Failed(_) => page,
            };
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
        Ok(marked(self.answer(make).await?, &listed))
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

/// Returns the error of a list: the upstream's, unless it says that there is no such repository.
fn failure(absent: registry::Error, error: &mirror::Error) -> ApiError {
    match absent {
        registry::Error::NameUnknown(_) if !error.is_absence() => error.clone().into(),
        absent => absent.into(),
    }
}

/// Returns the page of a repository; an empty one if nothing of it is here.
fn present_or_empty(
    here: Result<Page<String>, registry::Error>,
) -> Result<Page<String>, registry::Error> {
    match here {
        Err(registry::Error::NameUnknown(_)) => Ok(Page {
            items: Vec::new(),
            next: None,
        }),
        here => here,
    }
}

/// Marks a list that lacks what an upstream has.
fn marked<T>(mut answer: Response<Body>, listed: &Listed<T>) -> Response<Body> {
    if let Listed::Failed(_) = listed {
        let warning = HeaderValue::from_static(STALE);
        answer.headers_mut().insert(WARNING, warning);
    }
    answer
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
