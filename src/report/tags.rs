//! Lists of tags.

use serde::{Deserialize, Serialize};

use crate::registry::{Error, Registry, TagKey};
use crate::report::damage::{DamageItem, damage};
use crate::report::values::Time;

/// A tag of a list.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TagItem {
    pub repository: String,
    pub tag: String,
    pub digest: String,
    /// `None` if the manifest is damaged.
    pub media_type: Option<String>,
    /// The image with all its platforms; `None` as before.
    pub size: Option<u64>,
    pub platforms: Vec<String>,
    pub pushed: Time,
    pub pulled: Option<Time>,
    pub checked: Option<Time>,
    pub pull_count: u64,
    /// URL of the upstream of which its repository is a cache.
    pub upstream: Option<String>,
    pub damage: Vec<DamageItem>,
}

/// Describes tags, without those that were removed meanwhile.
///
/// # Errors
/// Those of the database.
pub async fn tags(registry: &Registry, keys: Vec<TagKey>) -> Result<Vec<TagItem>, Error> {
    let has_damage = registry.reports().has_damage().await?;
    let mut items = Vec::with_capacity(keys.len());
    for (key, row) in registry.tags().details(keys).await? {
        let summary = registry
            .manifests()
            .summarise(&key.repository, &row.digest)
            .await;
        let (media_type, size, platforms) = match summary {
            // deleted since the row was read
            Err(Error::ManifestUnknown { .. }) => continue,
            Err(Error::ManifestDamaged { .. }) => (None, None, Vec::new()),
            Err(other) => return Err(other),
            Ok(summary) => (
                Some(summary.media_type),
                Some(summary.size),
                summary.platforms,
            ),
        };
        let pieces = match has_damage {
            true => {
                let reports = registry.reports();
                reports.damage_within(&key.repository, &row.digest).await?
            }
            false => Vec::new(),
        };
        items.push(TagItem {
            repository: key.repository.to_string(),
            tag: row.name,
            digest: row.digest.to_string(),
            media_type,
            size,
            platforms,
            pushed: Time(row.pushed_at),
            pulled: row.pulled_at.map(Time),
            checked: row.checked_at.map(Time),
            pull_count: row.pulls,
            upstream: row.upstream,
            damage: damage(&pieces),
        });
    }
    Ok(items)
}
