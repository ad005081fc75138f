//! History of a tag, as a draft of the specification defines it (distribution-spec, pull request 606): an image index
//! whose descriptors are events, newest first.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::http::api::handlers::lists::Lists;
use crate::http::api::request::query::HistoryFilter;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::oci::{RepositoryName, TagName};
use crate::registry::{Millis, Registry, TagState};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LINK: HeaderName = http::header::LINK;
/// Maximum number of events in one response.
const MAX_EVENTS: usize = 1000;

struct Event<'s> {
    at: Millis,
    name: &'static str,
    state: &'s TagState,
}

pub(crate) async fn get(
    lists: &Lists<'_>,
    name: &RepositoryName,
    tag: &TagName,
    filter: HistoryFilter,
) -> Result<Response<Body>, ApiError> {
    lists
        .answer(|| list(lists.registry, name, tag, &filter))
        .await
}

/// Returns an empty index for an unknown tag: 404 would mean that the API does not exist here.
async fn list(
    registry: &Registry,
    name: &RepositoryName,
    tag: &TagName,
    filter: &HistoryFilter,
) -> Result<Response<String>, ApiError> {
    let limit = filter.n.unwrap_or(MAX_EVENTS).min(MAX_EVENTS);
    let mut descriptors: Vec<Value> = Vec::new();
    let mut last: Option<Millis> = None;
    let (mut before, mut has_more) = (None, false);
    'pages: loop {
        let page = registry.tags().history(name, tag, before).await?;
        for event in page
            .items
            .iter()
            .flat_map(events)
            .filter(|event| filter.matches(event))
        {
            // events of the same time stay together, because the next page starts before a time
            if descriptors.len() >= limit && last != Some(event.at) {
                has_more = limit > 0;
                break 'pages;
            }
            last = Some(event.at);
            descriptors.push(event.descriptor());
        }
        before = match page.next.and_then(|next| next.parse().ok()) {
            Some(next) => Some(next),
            None => break,
        };
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors });
    let answer = builder::empty(StatusCode::OK).header(CONTENT_TYPE, INDEX);
    let answer = match last.filter(|_| has_more) {
        Some(last) => answer.header(LINK, next_page(name, tag, filter, limit, last)),
        None => answer,
    };
    Ok(answer.json(&index))
}

/// Returns the start of a state and, before it, its end, unless another state starts there.
fn events(state: &TagState) -> impl Iterator<Item = Event<'_>> {
    let deletion = state.end.as_ref().filter(|end| end.is_deletion);
    let deleted = deletion.map(|end| Event {
        at: end.at,
        name: "deleted",
        state,
    });
    deleted.into_iter().chain([Event {
        at: state.since,
        name: "created",
        state,
    }])
}

impl Event<'_> {
    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.state.media_type,
            "digest": self.state.digest.as_str(),
            "size": self.state.size,
            "annotations": {
                "org.opencontainers.distribution.tag.timestamp": builder::time(self.at),
                "org.opencontainers.distribution.tag.event": self.name,
            },
        })
    }
}

impl HistoryFilter {
    fn matches(&self, event: &Event<'_>) -> bool {
        self.before.is_none_or(|before| event.at < before)
            && self.since.is_none_or(|since| event.at >= since)
            && self
                .digest
                .as_ref()
                .is_none_or(|digest| *digest == event.state.digest)
    }
}

fn next_page(
    name: &RepositoryName,
    tag: &TagName,
    filter: &HistoryFilter,
    limit: usize,
    last: Millis,
) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("n", &limit.to_string())
        .append_pair("before", &builder::time(last));
    if let Some(since) = filter.since {
        query.append_pair("since", &builder::time(since));
    }
    if let Some(digest) = &filter.digest {
        query.append_pair("digest", digest.as_str());
    }
    format!(
        "</v2/{name}/_oci/tag-history/{tag}?{}>; rel=\"next\"",
        query.finish()
    )
}
