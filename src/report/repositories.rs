//! Lists of repositories.

use serde::{Deserialize, Serialize};

use crate::oci::RepositoryName;
use crate::registry::{Error, ListQuery, Page, Registry, RepositoryRow};
use crate::report::values::{Time, Who};
use crate::report::viewer::Viewer;

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
    /// URL of the upstream of which it is a cache.
    pub upstream: Option<String>,
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
            upstream: row.upstream,
        }
    }
}

/// Returns who last made a tag of a repository point where it points, as far as the viewer is told.
///
/// # Errors
/// Those of the database.
pub async fn last_pusher(
    registry: &Registry,
    repository: &RepositoryName,
    viewer: &Viewer,
) -> Result<Who, Error> {
    let setter = registry.reports().last_setter(repository).await?;
    Ok(viewer.who(&setter.unwrap_or_default()))
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
