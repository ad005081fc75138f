//! Changes by forms: deleting, and bringing back.

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::Value;
use std::time::Duration;

use crate::http::api::request::actor::actor;
use crate::http::api::request::origin::{self, Unsaid};
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::http::settings::ServerSettings;
use crate::http::ui::answer::reader;
use crate::http::ui::call::UiCall;
use crate::http::ui::changes::is_somebody;
use crate::http::ui::sessions::Door;
use crate::oci::RepositoryName;
use crate::registry::ManifestReference;
use crate::report::{self, Outcome, Selection, Undo};
use crate::ui;

/// Makes a change, and answers with what came of it.
///
/// # Errors
/// A form of another page, a passer-by, and those of the change.
pub(crate) async fn answer(
    door: Door<'_>,
    call: &UiCall,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let settings = door.settings.get();
    origin::check(head, &settings, Unsaid::Refused)?;
    check_somebody(door, head, &settings)?;
    match call {
        UiCall::Delete { name, reference } => delete(door, name, reference, head).await,
        UiCall::Restore { name, reference } => {
            let _: Value = report::restore(door.registry, name, reference, actor(head)).await?;
            Ok(builder::empty(StatusCode::SEE_OTHER)
                .header(CACHE_CONTROL, "no-store")
                .location("/ui/")
                .finish())
        }
        _ => Err(ApiError::UnknownPath),
    }
}

/// Rejects a change by a passer-by where nobody ever logs in, unless they are on this machine or the settings allow it.
fn check_somebody(door: Door<'_>, head: &Parts, settings: &ServerSettings) -> Result<(), ApiError> {
    match is_somebody(door.access, settings, head) {
        true => Ok(()),
        false => Err(ApiError::AnonymousChange),
    }
}

async fn delete(
    door: Door<'_>,
    name: &RepositoryName,
    reference: &ManifestReference,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let registry = door.registry;
    let selection = Selection::of(registry, name, reference).await?;
    let report = report::foresee_deletion(registry, selection).await?;
    let undo = Undo::of(&report.selection, "", &registry.settings().retention);
    report.delete(registry, actor(head)).await?;
    let reader = reader(door.access, &door.settings.get(), head, Some(name)).await;
    let done = report.item(&Outcome::Done(undo), registry, &reader.viewer);
    let page = ui::deleted(&reader, name, reference, &done)?;
    let answer = builder::empty(StatusCode::OK)
        .header(CACHE_CONTROL, "no-store")
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .text(page.timed(Duration::ZERO));
    Ok(answer.map(Body::from))
}
