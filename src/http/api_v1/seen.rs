//! The viewer for whom the report of a request is made.

use http::request::Parts;

use crate::auth::{Requester, is_administrator};
use crate::http::api::request::rights::readable;
use crate::report::{People, Viewer};

/// Returns whoever the report of a request is made for.
pub(crate) fn viewer(head: &Parts) -> Viewer {
    let requester = head.extensions.get::<Requester>();
    let people = match requester {
        Some(requester) if is_administrator(requester) => People::All,
        Some(requester) if requester.identity().name().is_some() => People::Names,
        _ => People::Nobody,
    };
    Viewer {
        shown: readable(head),
        people,
    }
}
