//! Doors to the parsers of requests, for the fuzz targets in `tests/fuzz`. They exist with `cfg(fuzzing)` only.
//!
//! Each checks what holds for every input, and fails an assertion if it does not.

use http::header::{CONTENT_RANGE, HeaderValue, IF_RANGE, RANGE};
use http::{HeaderMap, Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::http::api::download::range::{Selection, chunk, select};
use crate::http::api::request::action::Action;
use crate::http::api::request::route::label_of;
use crate::oci::RepositoryName;

/// Entity tag of the content whose ranges are asked for.
pub const ETAG: &str = "sha256:0";

/// Characters of a path that are encoded: all but those between its segments.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/');

/// Parses a request line: however its path is encoded, it is the same action, about a repository that stands in the path.
pub fn route(method: &str, target: &str) {
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), target.parse::<Uri>()) else {
        return;
    };
    let Ok(action) = Action::parse(&method, &uri) else {
        return;
    };
    if let Action::Redirect { to } = &action {
        // another host would get the client's password
        assert!(to.starts_with('/') && !to.starts_with("//"), "{to}");
        let to = to.parse::<Uri>().map(|uri| Action::parse(&method, &uri));
        let is_end = |action: &Action| !matches!(action, Action::Redirect { .. });
        assert!(to.is_ok_and(|action| action.is_ok_and(|action| is_end(&action))));
        return;
    }
    let path = percent_decode_str(uri.path()).decode_utf8_lossy();
    if let Some(name) = action.repository() {
        assert!(path.contains(&format!("/{name}")), "{name} of {path}");
        assert_eq!(
            RepositoryName::parse(name.as_str()).as_ref().ok(),
            Some(name)
        );
    }
    if matches!(action, Action::Options { .. }) {
        return;
    }
    assert_eq!(action.endpoint().info().label, label_of(&path), "{path}");
    let query = uri.query().map(|query| format!("?{query}"));
    let encoded = utf8_percent_encode(&path, ENCODED).to_string() + &query.unwrap_or_default();
    let again = encoded
        .parse::<Uri>()
        .map(|uri| Action::parse(&method, &uri));
    assert!(
        matches!(&again, Ok(Ok(again)) if *again == action),
        "{encoded} is another action than {target}"
    );
}

/// Selects bytes of content; `None` if no range lies inside, all of it as a single part.
pub fn range(range: &[u8], if_range: Option<&[u8]>, size: u64) -> Option<Vec<(u64, u64)>> {
    let mut headers = HeaderMap::new();
    let values = [(RANGE, Some(range)), (IF_RANGE, if_range)];
    for (name, value) in values {
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value).ok()) {
            headers.insert(name, value);
        }
    }
    match select(&headers, size, ETAG).ok()? {
        Selection::Whole => Some(vec![(0, size)]),
        Selection::Parts(parts) => {
            let bounds = parts.into_iter().map(|part| (part.start, part.end));
            Some(bounds.collect())
        }
    }
}

/// Reads the first and the last byte of a chunk; `None` if there is none, or the header is malformed.
pub fn content_range(value: &[u8]) -> Option<(u64, u64)> {
    let value = HeaderValue::from_bytes(value).ok()?;
    let headers = HeaderMap::from_iter([(CONTENT_RANGE, value)]);
    let range = chunk(&headers).ok()??;
    Some((range.first, range.last))
}
