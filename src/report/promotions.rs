//! Tags that are pointed at images from elsewhere in the registry: promoted, or kept of a cache.

use serde::{Deserialize, Serialize};

use crate::oci::{RepositoryName, TagName};
use crate::registry::{
    Actor, Error, ManifestReference, Promotion, Purpose, Registry, RepositorySource,
};

/// Tag that points at an image from elsewhere.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PromotedItem {
    pub repository: String,
    pub tag: String,
    pub digest: String,
    /// Digest before; `None` if the tag is new.
    pub was: Option<String>,
}

/// Image of a cache that is one's own now.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptItem {
    #[serde(flatten)]
    pub promoted: PromotedItem,
    pub missing_count: u64,
    /// Platforms, or digests where there is none, that did not come along.
    pub missing: Vec<String>,
}

/// Reason why nothing of a cache is kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("{0} is your own already: registry tag gives its images other names")]
    Own(RepositoryName),
    #[error(transparent)]
    Registry(#[from] Error),
}

/// Points a tag at an image of any repository.
///
/// # Errors
/// Those of a push there, and an unknown image.
pub async fn promote(
    registry: &Registry,
    (from, reference): (&RepositoryName, &ManifestReference),
    (repository, tag): (&RepositoryName, &TagName),
    actor: Actor,
) -> Result<PromotedItem, Error> {
    let tags = registry.tags();
    let promotion = tags.promote(from, reference, repository, tag, Purpose::Promote, actor);
    Ok(item(repository, tag, &promotion.await?))
}

/// Makes a cached image one's own, under a name that no other image has.
///
/// # Errors
/// [`KeepError::Own`], those of a push there, and an image that is not cached as a whole.
pub async fn keep(
    registry: &Registry,
    (from, reference): (&RepositoryName, &ManifestReference),
    (repository, tag): (&RepositoryName, &TagName),
    actor: Actor,
) -> Result<KeptItem, KeepError> {
    if let Some(RepositorySource::Own) = registry.repositories().source(from).await? {
        return Err(KeepError::Own(from.clone()));
    }
    let tags = registry.tags();
    let kept = tags.promote(from, reference, repository, tag, Purpose::Keep, actor);
    let kept = kept.await?;
    let names = kept.missing.iter().map(|child| match &child.platform {
        Some(platform) => platform.clone(),
        None => child.digest.to_string(),
    });
    let missing: Vec<_> = names.collect();
    Ok(KeptItem {
        promoted: item(repository, tag, &kept),
        missing_count: missing.len() as u64,
        missing,
    })
}

fn item(repository: &RepositoryName, tag: &TagName, promotion: &Promotion) -> PromotedItem {
    PromotedItem {
        repository: repository.to_string(),
        tag: tag.to_string(),
        digest: promotion.digest.to_string(),
        was: promotion.was.as_ref().map(ToString::to_string),
    }
}
