//! Upstreams of which content is cached.

use serde::{Deserialize, Serialize};

use crate::registry::{CacheRule, Error, Registry, UpstreamRow};
use crate::report::adoptions::AdoptionProgress;
use crate::report::syncs::SyncItem;
use crate::report::values::Time;

/// An upstream.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamItem {
    pub name: String,
    pub url: String,
    /// `None` if it was not asked yet.
    pub reachable: Option<bool>,
    pub answered: Option<Time>,
    pub failed: Option<Time>,
    pub failure: Option<String>,
    pub quota_limit: Option<u64>,
    pub quota_remaining: Option<u64>,
    pub repository_count: u64,
    pub size: u64,
    /// Size of what images need.
    pub kept_size: u64,
    pub size_limit: Option<u64>,
    pub unused_seconds: Option<u64>,
    pub hit_count: u64,
    pub miss_count: u64,
    pub stale_count: u64,
    pub fetched_size: u64,
    /// `None` if it is not moved here.
    pub adoption: Option<AdoptionProgress>,
    pub sync: Vec<SyncItem>,
}

/// Maximum number of problems of all adoptions that are listed.
const PROBLEMS: usize = 1000;

impl UpstreamItem {
    fn new(row: UpstreamRow, rule: Option<&CacheRule>) -> Self {
        let state = row.state;
        let reachable = match (state.answered_at, state.failed_at) {
            (None, None) => None,
            (answered, failed) => Some(answered >= failed),
        };
        Self {
            name: state.name,
            url: state.url,
            reachable,
            answered: state.answered_at.map(Time),
            failed: state.failed_at.map(Time),
            failure: state.failure,
            quota_limit: state.quota_limit,
            quota_remaining: state.quota_remaining,
            repository_count: row.repositories,
            size: row.bytes,
            kept_size: row.kept,
            size_limit: rule.and_then(|rule| rule.size),
            unused_seconds: rule
                .and_then(|rule| rule.unused)
                .map(|unused| unused.as_secs()),
            hit_count: state.hits,
            miss_count: state.misses,
            stale_count: state.stale,
            fetched_size: state.fetched,
            adoption: None,
            sync: Vec::new(),
        }
    }
}

/// Lists upstreams.
///
/// # Errors
/// Those of the database.
pub async fn upstreams(registry: &Registry) -> Result<Vec<UpstreamItem>, Error> {
    let rows = registry.upstreams().list().await?;
    let retention = registry.gc().recorded_retention().await?;
    let retention = retention.unwrap_or_default();
    let items = rows.into_iter().map(|row| {
        let rule = retention.cache_rule(&row.state.name);
        UpstreamItem::new(row, rule)
    });
    let mut items: Vec<_> = items.collect();
    for row in registry.upstreams().syncs().await? {
        let item = items.iter_mut().find(|item| item.name == row.sync.upstream);
        if let Some(item) = item {
            item.sync.push(SyncItem::of(&row));
        }
    }
    let adoptions = registry.upstreams().adoptions().await?;
    if adoptions.is_empty() {
        return Ok(items);
    }
    let problems = registry.upstreams().adoption_problems(PROBLEMS).await?;
    for item in &mut items {
        let adoption = adoptions.iter().find(|row| row.name == item.name);
        item.adoption = adoption.map(|row| AdoptionProgress::of(row, &problems));
    }
    Ok(items)
}
