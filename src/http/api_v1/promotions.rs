//! Tags that are pointed at images from elsewhere in the registry.

use http::request::Parts;
use serde::Deserialize;

use crate::auth::{Permission, Requester, Scope, is_authorized};
use crate::http::api::request::actor::actor;
use crate::http::api::request::rights::tag_changes;
use crate::http::response::error::ApiError;
use crate::oci::{RepositoryName, TagName};
use crate::registry::{ManifestReference, Registry, TagChanges};
use crate::report::{self, KeepError, KeptItem, PromotedItem};

/// Image that a tag is to point at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceBody {
    /// `NAME:TAG` or `NAME@DIGEST`.
    pub source: String,
}

/// Points a tag at an image that the client may pull, by the right to push there and to move tags.
///
/// # Errors
/// Rights that are missing, and those of the change.
pub(super) async fn promote(
    registry: &Registry,
    (name, tag): (&RepositoryName, &TagName),
    source: &str,
    head: &Parts,
) -> Result<PromotedItem, ApiError> {
    let (from, reference) = readable(source, head)?;
    match tag_changes(head, name) {
        TagChanges::All => {}
        TagChanges::Creations | TagChanges::Moves => {
            return Err(ApiError::Denied(Scope::repository(name, Permission::Push)));
        }
    }
    let promoted = report::promote(registry, (&from, &reference), (name, tag), actor(head));
    Ok(promoted.await?)
}

/// Makes a cached image one's own, under a new tag.
///
/// # Errors
/// Rights that are missing, and those of the change.
pub(in crate::http) async fn keep(
    registry: &Registry,
    (name, tag): (&RepositoryName, &TagName),
    source: &str,
    head: &Parts,
) -> Result<KeptItem, ApiError> {
    let (from, reference) = readable(source, head)?;
    match tag_changes(head, name) {
        TagChanges::All | TagChanges::Creations => {}
        TagChanges::Moves => {
            return Err(ApiError::Denied(Scope::repository(name, Permission::Push)));
        }
    }
    let kept = report::keep(registry, (&from, &reference), (name, tag), actor(head)).await;
    kept.map_err(|error| match error {
        KeepError::Own(_) => ApiError::Parameter(error.to_string()),
        KeepError::Registry(error) => error.into(),
    })
}

/// Parses the name of an image that the client may pull; others do not exist for it.
fn readable(source: &str, head: &Parts) -> Result<(RepositoryName, ManifestReference), ApiError> {
    let parts = source.split_once('@').or_else(|| source.split_once(':'));
    let (name, reference) = parts.unwrap_or((source, "latest"));
    let (name, reference) = (
        RepositoryName::parse(name)?,
        ManifestReference::parse(reference)?,
    );
    let scope = Scope::repository(&name, Permission::Pull);
    let requester = head.extensions.get::<Requester>();
    match requester.is_some_and(|requester| is_authorized(requester, &scope)) {
        true => Ok((name, reference)),
        false => Err(ApiError::Hidden(name)),
    }
}
