//! Several tags at once: deleted as they were seen, and brought back.

use std::collections::BTreeMap;

use axum::body::Body;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::Value;

use crate::http::api::request::actor::actor;
use crate::http::api::request::body::Form;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::http::ui::answer::reader;
use crate::http::ui::sessions::Door;
use crate::http::ui::shown;
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::{Error, ManifestReference, Precondition};
use crate::report::{self, Time, undo_until};
use crate::ui::{self, DeletedTags};

/// Deletes the tags that a form showed, but for those that were moved meanwhile.
///
/// # Errors
/// A form without tags, an immutable tag, and those of the database.
pub(super) async fn delete(
    door: Door<'_>,
    name: &RepositoryName,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let registry = door.registry;
    // each once
    let seen: BTreeMap<_, _> = Form::read(body)
        .await?
        .all("seen")
        .iter()
        .map(|text| parsed(text))
        .collect::<Result<_, _>>()?;
    if seen.is_empty() {
        return Err(nothing());
    }
    let settings = registry.settings();
    for tag in seen.keys() {
        settings.retention.check_mutable(name, tag.as_str())?;
    }
    let mut outcome = DeletedTags::default();
    for (tag, digest) in seen {
        let reference = ManifestReference::Tag(tag.clone());
        let (manifests, condition) = (registry.manifests(), Precondition::is(&digest));
        match manifests
            .delete(name, &reference, condition, actor(head))
            .await
        {
            Ok(()) => outcome.deleted.push(tag),
            Err(Error::PreconditionFailed | Error::ManifestUnknown { .. }) => {
                outcome.moved.push(tag);
            }
            Err(other) => return Err(other.into()),
        }
    }
    outcome.until = undo_until(&settings.retention).map(Time);
    let reader = reader(door.access, &door.settings.get(), head, Some(name)).await;
    let page = ui::deleted_several(&reader, name, outcome)?;
    Ok(shown::once(StatusCode::OK, &page))
}

/// Brings back tags.
///
/// # Errors
/// A form without tags, one that cannot be restored, and those of the database.
pub(super) async fn restore(
    door: Door<'_>,
    name: &RepositoryName,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let tags = Form::read(body).await?.all("tag");
    if tags.is_empty() {
        return Err(nothing());
    }
    for tag in &tags {
        let reference = ManifestReference::Tag(TagName::parse(tag)?);
        let _: Value = report::restore(door.registry, name, &reference, actor(head)).await?;
    }
    Ok(builder::empty(StatusCode::SEE_OTHER)
        .header(CACHE_CONTROL, "no-store")
        .location(format!("/ui/repositories/{name}"))
        .finish())
}

/// Parses `TAG@DIGEST`.
fn parsed(text: &str) -> Result<(TagName, Digest), ApiError> {
    let (tag, digest) = text.split_once('@').unwrap_or((text, ""));
    Ok((TagName::parse(tag)?, Digest::parse(digest)?))
}

fn nothing() -> ApiError {
    ApiError::Parameter("the form names no tags".to_owned())
}
