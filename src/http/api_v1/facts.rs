//! Reports about one thing: an image, the history of a tag, and why a digest is kept.

use serde_json::json;

use crate::http::api_v1::lists::{Made, check_listed};
use crate::http::api_v1::parameters::GrowthParameters;
use crate::http::response::error::ApiError;
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::{Error, ManifestReference, Registry};
use crate::report::{self, GROWTH_DAYS, Outcome, Selection, Viewer};

pub(super) async fn manifest(
    registry: &Registry,
    name: &RepositoryName,
    reference: &ManifestReference,
) -> Result<Made, ApiError> {
    let report = report::image(registry, name, reference).await?;
    Ok(Made::whole(report.as_json()))
}

/// Shows what an artifact holds that is no image.
pub(super) async fn content(
    registry: &Registry,
    name: &RepositoryName,
    reference: &ManifestReference,
) -> Result<Made, ApiError> {
    let described = registry.manifests().describe(name, reference).await?;
    let content = report::content(registry, name, &described).await?;
    Ok(Made::whole(json!(content)))
}

pub(super) async fn history(
    registry: &Registry,
    viewer: &Viewer,
    (name, tag): (&RepositoryName, &TagName),
    last: Option<&str>,
) -> Result<Made, ApiError> {
    let page = report::history(registry, name, tag, last, viewer).await?;
    if page.items.is_empty() && last.is_none() {
        return Err(ApiError::Registry(Error::ManifestUnknown {
            repository: name.clone(),
            reference: tag.to_string(),
            needed_by: None,
        }));
    }
    Ok(Made {
        body: json!({ "repository": name.as_str(), "tag": tag.as_str(), "states": page.items }),
        next: page.next,
    })
}

/// Shows how repositories grew that the client may see.
pub(super) async fn growth(
    registry: &Registry,
    viewer: &Viewer,
    parameters: &GrowthParameters,
) -> Result<Made, ApiError> {
    let days = parameters.days.unwrap_or(GROWTH_DAYS);
    let growth = report::growth(registry, days, parameters.pattern()?, viewer).await?;
    Ok(Made::whole(json!(growth)))
}

pub(super) async fn why(
    registry: &Registry,
    viewer: &Viewer,
    digest: &Digest,
) -> Result<Made, ApiError> {
    match report::why(registry, digest, viewer).await? {
        Some(report) => Ok(Made::whole(report.as_json(viewer))),
        None => Err(ApiError::DigestUnknown(digest.clone())),
    }
}

/// Shows what a deletion would remove and free.
pub(super) async fn deletion(
    registry: &Registry,
    viewer: &Viewer,
    selection: Selection,
) -> Result<Made, ApiError> {
    let report = report::foresee_deletion(registry, selection).await?;
    let item = report.item(&Outcome::Foreseen, registry, viewer);
    Ok(Made::whole(json!(item)))
}

/// Completes a shortened digest.
pub(super) async fn digests(
    registry: &Registry,
    name: &RepositoryName,
    prefix: &str,
) -> Result<Made, ApiError> {
    check_listed(registry, name).await?;
    let found = registry
        .manifests()
        .find_digests(Some(name), prefix)
        .await?;
    let found: Vec<_> = found.iter().map(Digest::as_str).collect();
    Ok(Made::list("digests", &found))
}
