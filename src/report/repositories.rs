//! Lists of repositories.

use serde::{Deserialize, Serialize};

use crate::oci::RepositoryName;
use crate::registry::{Error, ListQuery, Overview, Page, Registry, RepositoryRow};
use crate::report::usage::{UsageItem, usage_item};
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

/// A repository, with who last made a tag of it point where it points.
#[derive(Clone, Debug)]
pub struct OverviewItem {
    pub usage: UsageItem,
    pub pusher: Who,
    /// Host of the registry whose content it caches.
    pub upstream: Option<String>,
}

/// Describes repositories in one read, without those that were removed meanwhile.
///
/// # Errors
/// Those of the database.
pub async fn overview(
    registry: &Registry,
    names: Vec<RepositoryName>,
    viewer: &Viewer,
) -> Result<Vec<OverviewItem>, Error> {
    let found = registry.reports().overview(names).await?;
    let item = |one: Overview| OverviewItem {
        usage: usage_item(&one.name, one.usage, viewer),
        pusher: viewer.who(&one.set_by.unwrap_or_default()),
        upstream: one.upstream.as_deref().map(host),
    };
    Ok(found.into_iter().map(item).collect())
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

/// Returns the host of an address.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}
