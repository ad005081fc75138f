//! `If-Match` and `If-None-Match` of requests.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

use crate::registry::{EntityTags, Precondition};

/// Reads the conditions of a request. A value that is no text names nothing.
pub(crate) fn precondition(headers: &HeaderMap) -> Precondition {
    Precondition {
        matching: entity_tags(headers, IF_MATCH),
        not_matching: entity_tags(headers, IF_NONE_MATCH),
    }
}

fn entity_tags(headers: &HeaderMap, name: HeaderName) -> Option<EntityTags> {
    let lists = headers.get_all(name);
    lists.iter().next()?;
    let mut tags = EntityTags::default();
    let texts = lists.iter().filter_map(|list| list.to_str().ok());
    texts.for_each(|list| tags.add(list));
    Some(tags)
}
