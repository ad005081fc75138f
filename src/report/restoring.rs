//! Restored content.

use serde::Serialize;
use serde_json::{Value, json};

use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::{Actor, Error, ManifestReference, Registry, RuleRemoval};
use crate::report::values::Time;

/// A restored manifest or tag.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredItem {
    pub repository: String,
    pub digest: String,
    /// Children restored with an index.
    pub child_count: u64,
    pub tags: Vec<String>,
}

/// A restored tag that a rule removes after the grace period.
#[derive(Clone, Debug, Serialize)]
pub struct RemovalItem {
    pub repository: String,
    pub tag: String,
    pub policy: String,
    pub rule: String,
    pub reason: String,
    pub at: Time,
}

/// Restores a deleted manifest with its children and tags.
///
/// # Errors
/// [`Error::NothingToRestore`], and those of a push.
pub async fn restore_manifest(
    registry: &Registry,
    repository: &RepositoryName,
    digest: &Digest,
    actor: Actor,
) -> Result<RestoredItem, Error> {
    let restored = registry.trash().restore(repository, digest, actor).await?;
    Ok(RestoredItem {
        repository: repository.to_string(),
        digest: restored.digest.to_string(),
        child_count: restored.others.len() as u64,
        tags: restored.tags.into_iter().map(|(tag, _)| tag).collect(),
    })
}

/// Restores a removed tag.
///
/// # Errors
/// [`Error::NothingToRestore`], and those of a push.
pub async fn restore_tag(
    registry: &Registry,
    repository: &RepositoryName,
    tag: &TagName,
    actor: Actor,
) -> Result<RestoredItem, Error> {
    let tags = registry.tags();
    let digest = tags.restore_removed(repository, tag, actor).await?;
    Ok(RestoredItem {
        repository: repository.to_string(),
        digest: digest.to_string(),
        child_count: 0,
        tags: vec![tag.to_string()],
    })
}

/// Restores a tag or a manifest, and converts what came of it to JSON.
///
/// # Errors
/// Those of [`restore_tag`] and [`restore_manifest`].
pub async fn restore(
    registry: &Registry,
    repository: &RepositoryName,
    reference: &ManifestReference,
    actor: Actor,
) -> Result<Value, Error> {
    let item = match reference {
        ManifestReference::Tag(tag) => restore_tag(registry, repository, tag, actor).await?,
        ManifestReference::Digest(digest) => {
            restore_manifest(registry, repository, digest, actor).await?
        }
    };
    let tags = item.tags.iter().cloned().collect();
    let removals = registry.tags().removals_of_restored(repository, tags);
    Ok(restored_json(&[item], repository, &removals.await?))
}

/// Converts restored content to JSON.
pub fn restored_json(
    items: &[RestoredItem],
    repository: &RepositoryName,
    removals: &[RuleRemoval],
) -> Value {
    json!({ "restored": items, "removals": removal_items(repository, removals) })
}

/// Converts restored tags that rules remove later.
pub fn removal_items(repository: &RepositoryName, removals: &[RuleRemoval]) -> Vec<RemovalItem> {
    let item = |removal: &RuleRemoval| RemovalItem {
        repository: repository.to_string(),
        tag: removal.tag.clone(),
        policy: removal.policy.clone(),
        rule: removal.rule.clone(),
        reason: removal.reason.clone(),
        at: Time(removal.at),
    };
    removals.iter().map(item).collect()
}
