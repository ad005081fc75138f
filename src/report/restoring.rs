//! Restored content.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::{Actor, Error, ManifestReference, Registry, RuleRemoval};
use crate::report::values::Time;

/// A restored manifest or tag.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredItem {
    /// `manifest` or `tag`.
    pub kind: String,
    pub repository: String,
    pub digest: String,
    /// Children restored with an index.
    pub child_count: u64,
    pub tags: Vec<String>,
}

/// A restored tag that a rule removes after the grace period.
#[derive(Clone, Debug, Deserialize, Serialize)]
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
        kind: "manifest".to_owned(),
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
        kind: "tag".to_owned(),
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
    let removals = removal_items(repository, &removals.await?);
    Ok(restored_json(&[item], &removals))
}

/// Restores everything that was deleted from a repository, newest first: a tag that several manifests had goes to the last one.
///
/// A failure does not stop the others, and is passed to `failed`.
///
/// # Errors
/// Those of the database.
pub async fn restore_everything(
    registry: &Registry,
    repository: &RepositoryName,
    actor: &Actor,
    mut restored: impl FnMut(RestoredItem),
    mut failed: impl FnMut(Digest, Error),
) -> Result<(), Error> {
    for digest in deleted_manifests(registry, repository).await? {
        match restore_manifest(registry, repository, &digest, actor.clone()).await {
            Ok(item) => restored(item),
            // restored with its index
            Err(Error::NothingToRestore(_)) => {}
            Err(error) => failed(digest, error),
        }
    }
    for tag in removed_tags(registry, repository).await? {
        match restore_tag(registry, repository, &tag, actor.clone()).await {
            Ok(item) => restored(item),
            // pushed meanwhile
            Err(Error::NothingToRestore(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Lists deleted manifests, newest first.
async fn deleted_manifests(
    registry: &Registry,
    repository: &RepositoryName,
) -> Result<Vec<Digest>, Error> {
    let mut rows = Vec::new();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry.trash().list(Some(repository), last).await?;
        rows.extend(page.items);
        after = page.next;
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.deleted_at));
    Ok(rows.into_iter().map(|row| row.digest).collect())
}

/// Lists tags that were removed without their manifests; call it after restoring manifests.
async fn removed_tags(
    registry: &Registry,
    repository: &RepositoryName,
) -> Result<Vec<TagName>, Error> {
    let settings = registry.settings();
    let mut tags = Vec::new();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let trash = registry.trash();
        let page = trash
            .removed_tags(Some(repository), &settings.retention, last)
            .await?;
        let names = page.items.iter().map(|row| TagName::parse(&row.tag));
        tags.extend(names.filter_map(Result::ok));
        after = page.next;
    }
    Ok(tags)
}

/// Restores everything that was deleted from a repository, and converts what came of it to JSON.
///
/// # Errors
/// [`Error::NothingToRestore`], and the first failure to restore something, after the rest is restored.
pub async fn restore_all(
    registry: &Registry,
    repository: &RepositoryName,
    actor: &Actor,
) -> Result<Value, Error> {
    let (mut items, mut failure) = (Vec::new(), None);
    let failed = |_, error| {
        failure.get_or_insert(error);
    };
    restore_everything(registry, repository, actor, |item| items.push(item), failed).await?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    if items.is_empty() {
        return Err(Error::NothingToRestore(format!(
            "nothing in {repository} can be restored: registry restore lists what can be restored"
        )));
    }
    let tags = items
        .iter()
        .flat_map(|item: &RestoredItem| item.tags.iter().cloned());
    let removals = registry
        .tags()
        .removals_of_restored(repository, tags.collect());
    let removals = removal_items(repository, &removals.await?);
    Ok(restored_json(&items, &removals))
}

/// Converts restored content to JSON.
pub fn restored_json(items: &[RestoredItem], removals: &[RemovalItem]) -> Value {
    json!({ "restored": items, "removals": removals })
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
