//! Rules that a form tries. Nothing is changed.

use std::time::Instant;

use axum::body::Body;
use http::Response;
use http::request::Parts;

use crate::http::api::handlers::list_room::ListRoom;
use crate::http::api::request::body::Form;
use crate::http::api::request::origin::{self, Unsaid};
use crate::http::api_v1::policies::tried;
use crate::http::response::error::ApiError;
use crate::http::ui::answer::{reader, rendered};
use crate::http::ui::parameters::{PolicyQuery, Shown};
use crate::http::ui::sessions::Door;
use crate::oci::RepositoryName;
use crate::ui;

/// Answers a form with rules.
///
/// # Errors
/// A form of another page, one without rules, and those of the database.
pub(crate) async fn answer(
    door: Door<'_>,
    room: &ListRoom,
    name: Option<&RepositoryName>,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let settings = door.settings.get();
    origin::check(head, &settings, Unsaid::Refused)?;
    let form = Form::read(body).await?;
    let missing = || ApiError::Parameter("the form has no rules".to_owned());
    // browsers send lines with two characters at their ends
    let text = form.raw("rules").ok_or_else(missing)?.replace("\r\n", "\n");
    let rules = tried(&settings, door.registry, &text);
    let query = PolicyQuery {
        at: match form.text("by").as_deref() {
            Some("now") => None,
            by => by.map(str::to_owned).or_else(|| form.text("at")),
        },
        show: form.text("show").as_deref().and_then(Shown::of),
    };
    let page = query.page(name, Some((text, rules)), true)?;
    let reader = reader(door.access, &settings, head, name).await;
    let make = || async {
        let begun = Instant::now();
        let page = ui::policies(door.registry, &reader, page.clone()).await?;
        Ok(rendered(page, head, begun))
    };
    room.answer(head, make).await
}
