//! Lists of repositories.

use serde::{Deserialize, Serialize};

use crate::registry::{Error, ListQuery, Page, Registry, RepositoryRow};
use crate::report::values::Time;

/// A repository of a list.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryItem {
    pub repository: String,
    pub tag_count: u64,
    pub manifest_count: u64,
    pub size: u64,
    pub pushed: Time,
    pub pulled: Option<Time>,
    pub checked: Option<Time>,
}

impl From<RepositoryRow> for RepositoryItem {
    fn from(row: RepositoryRow) -> Self {
        Self {
            repository: row.name,
            tag_count: row.tags,
            manifest_count: row.manifests,
            size: row.size,
            pushed: Time(row.pushed_at),
            pulled: row.pulled_at.map(Time),
            checked: row.checked_at.map(Time),
        }
    }
}

/// Lists repositories.
///
/// # Errors
/// Those of the database.
pub async fn repositories(
    registry: &Registry,
    query: ListQuery,
) -> Result<Page<RepositoryItem>, Error> {
    let page = registry.repositories().find(query).await?;
    Ok(Page {
        items: page.items.into_iter().map(RepositoryItem::from).collect(),
        next: page.next,
    })
}
