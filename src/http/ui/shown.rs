//! Pages that are shown once, as answers to forms.

use std::time::Duration;

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Response, StatusCode};

use crate::http::response::builder;
use crate::ui::Page;

/// Answers with a page that no browser keeps.
pub(super) fn once(status: StatusCode, page: &Page) -> Response<Body> {
    let answer = builder::empty(status)
        .header(CACHE_CONTROL, "no-store")
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .text(page.timed(Duration::ZERO));
    answer.map(Body::from)
}
