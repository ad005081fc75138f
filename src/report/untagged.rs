//! Lists of images that no tag, index or subject holds.

use serde::{Deserialize, Serialize};

use crate::registry::{Error, ListQuery, Page, Registry, UntaggedImage};
use crate::report::values::Time;

/// An image without a tag.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UntaggedItem {
    pub repository: String,
    pub digest: String,
    pub size: u64,
    pub former_tags: Vec<String>,
    pub since: Time,
    pub pulled: Option<Time>,
    pub checked: Option<Time>,
    pub until: Option<Time>,
}

impl From<UntaggedImage> for UntaggedItem {
    fn from(image: UntaggedImage) -> Self {
        Self {
            repository: image.repository,
            digest: image.digest.to_string(),
            size: image.size,
            former_tags: image.tags,
            since: Time(image.since),
            pulled: image.pulled_at.map(Time),
            checked: image.checked_at.map(Time),
            until: image.until.map(Time),
        }
    }
}

/// Lists them, each with the time at which collection deletes it by the registry's rules.
///
/// # Errors
/// Those of the database.
pub async fn untagged(registry: &Registry, query: ListQuery) -> Result<Page<UntaggedItem>, Error> {
    let retention = registry.settings().retention.clone();
    let page = registry.reports().untagged(query, &retention).await?;
    Ok(Page {
        items: page.items.into_iter().map(UntaggedItem::from).collect(),
        next: page.next,
    })
}
