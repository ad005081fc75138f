//! Disk usage of repositories, of tags, and of the whole store.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::oci::RepositoryName;
use crate::registry::{
    CollectionBaseline, Error, Forecast, Registry, RemovalKind, RemovalTotals, StoreUsage, TagKey,
    Usage, WaitCause, shown_size,
};
use crate::report::values::Time;
use crate::report::viewer::Viewer;

/// Disk usage of a repository.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageItem {
    pub repository: String,
    pub tag_count: u64,
    pub manifest_count: u64,
    pub manifest_size: u64,
    pub size: u64,
    pub logical_size: u64,
    /// `None` for whoever may not see all repositories: it would tell what hidden ones hold.
    pub exclusive_size: Option<u64>,
}

/// Disk usage of a tag.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TagUsageItem {
    pub repository: String,
    pub tag: String,
    pub digest: String,
    pub logical_size: u64,
    /// `None` as for a repository.
    pub exclusive_size: Option<u64>,
}

/// The whole store: what it holds, what collection removes, and the disk.
#[derive(Debug)]
pub struct StoreReport {
    pub usage: StoreUsage,
    pub forecast: Forecast,
    /// Free bytes that pushes must leave.
    pub reserve: u64,
    /// Why pushes are refused, if they are.
    pub refusal: Option<String>,
}

/// The whole store as reports show it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreItem {
    pub repository_count: u64,
    pub tag_count: u64,
    pub manifests: Held,
    pub blobs: Held,
    pub uploads: Held,
    pub garbage: Garbage,
    pub trash: Held,
    pub database: DatabaseItem,
    pub disk: DiskUsage,
}

/// Number of things, and their bytes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Held {
    pub count: u64,
    pub size: u64,
}

/// Content that collection removes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Garbage {
    pub now: GarbageNow,
    pub later: GarbageLater,
}

/// Content that the next collection removes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GarbageNow {
    pub tag_count: u64,
    pub manifest_count: u64,
    pub blob_count: u64,
    pub size: u64,
}

/// Content that later collections remove.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GarbageLater {
    pub tag_count: u64,
    pub manifest_count: u64,
    pub blob_count: u64,
    pub size: u64,
    pub days: Vec<DayShare>,
    pub undo: UndoShare,
}

/// Blobs that are removed on one day.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DayShare {
    pub date: String,
    pub blob_count: u64,
    pub size: u64,
}

/// Blobs that are there only because something was deleted.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UndoShare {
    pub blob_count: u64,
    pub size: u64,
}

/// Bytes of the database.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseItem {
    pub size: u64,
    pub free_size: u64,
    pub log_size: u64,
}

/// Bytes of the disk.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskUsage {
    pub free_size: u64,
    pub reserve_size: u64,
    /// Reason for which pushes are refused.
    pub reason: Option<String>,
}

/// Returns the disk usage of a repository.
///
/// # Errors
/// [`Error::NameUnknown`], and those of the database.
pub async fn usage(
    registry: &Registry,
    repository: &RepositoryName,
    viewer: &Viewer,
) -> Result<UsageItem, Error> {
    let usage = registry.reports().repository_usage(repository).await?;
    Ok(usage_item(repository, usage, viewer))
}

/// Converts the disk usage of a repository to what a viewer is told.
pub(super) fn usage_item(repository: &RepositoryName, usage: Usage, viewer: &Viewer) -> UsageItem {
    let Usage {
        tags,
        manifests,
        manifest_bytes,
        logical,
        deduplicated,
        exclusive,
    } = usage;
    UsageItem {
        repository: repository.to_string(),
        tag_count: tags,
        manifest_count: manifests,
        manifest_size: manifest_bytes,
        size: deduplicated,
        logical_size: logical,
        exclusive_size: Some(exclusive).filter(|_| viewer.sees_everything()),
    }
}

/// Returns the disk usage of tags, without those that were removed meanwhile.
///
/// # Errors
/// Those of the database.
pub async fn tag_usage(
    registry: &Registry,
    keys: Vec<TagKey>,
    baseline: &Arc<CollectionBaseline>,
    viewer: &Viewer,
) -> Result<Vec<TagUsageItem>, Error> {
    let settings = registry.settings();
    let usages = registry
        .reports()
        .tag_usage(keys, &settings.retention, Arc::clone(baseline))
        .await?;
    let items = usages.into_iter().map(|usage| TagUsageItem {
        repository: usage.key.repository.to_string(),
        tag: usage.key.name.into_string(),
        digest: usage.digest.to_string(),
        logical_size: usage.logical,
        exclusive_size: Some(usage.exclusive).filter(|_| viewer.sees_everything()),
    });
    Ok(items.collect())
}

/// The disk, as it was measured a moment ago. Sizes are in bytes.
#[derive(Clone, Copy, Debug)]
pub struct DiskItem {
    /// Blobs that something holds.
    pub live: u64,
    /// Blobs that are collected at some time.
    pub waiting: u64,
    pub free: u64,
    /// Part of what is free that pushes must leave.
    pub reserve: u64,
    pub repository_count: u64,
    pub tag_count: u64,
}

/// Returns the state of the disk, which costs nothing but a measurement from time to time; `None` if none was made yet.
pub async fn disk(registry: &Registry) -> Option<DiskItem> {
    let measured = registry.status().store().await?;
    let totals = &measured.usage.totals;
    let idle = measured.idle.due.saturating_add(measured.idle.waiting);
    let free = measured.usage.free_disk;
    Some(DiskItem {
        live: totals.blob_bytes.saturating_sub(idle),
        waiting: idle.saturating_add(totals.removal_bytes),
        free,
        reserve: registry.settings().reserve.min(free),
        repository_count: totals.repositories,
        tag_count: totals.tags,
    })
}

/// Returns the usage of the whole store.
///
/// # Errors
/// Those of the database and of the disk.
pub async fn store(registry: &Registry) -> Result<StoreReport, Error> {
    let settings = registry.settings();
    Ok(StoreReport {
        usage: registry.reports().store_usage().await?,
        forecast: registry.reports().forecast(&settings.retention).await?,
        reserve: settings.reserve,
        refusal: refusal(registry),
    })
}

/// Says why pushes are refused, if they are.
fn refusal(registry: &Registry) -> Option<String> {
    match registry.status().check_pushes() {
        Ok(()) => None,
        Err(Error::Reserve) => Some(format!(
            "less than {} (storage.reserve) of the disk is free; registry gc says what can be freed",
            shown_size(registry.settings().reserve)
        )),
        Err(Error::StorageFull(shortage)) => Some(format!("the {shortage}")),
        Err(other) => Some(other.to_string()),
    }
}

impl StoreReport {
    /// Groups later removals of blobs by day.
    pub fn days(&self) -> BTreeMap<String, RemovalTotals> {
        let mut days: BTreeMap<String, RemovalTotals> = BTreeMap::new();
        let forecast = &self.forecast;
        let later = forecast
            .removals
            .iter()
            .filter(|removal| removal.kind == RemovalKind::Blob && removal.at > forecast.now);
        for removal in later {
            let share = days.entry(Time(removal.at).day()).or_default();
            share.blobs += 1;
            share.bytes += removal.size;
        }
        days
    }

    /// Converts it to what `docs/json.md` describes.
    pub fn item(&self) -> StoreItem {
        let StoreUsage {
            totals,
            upload_bytes,
            database,
            free_disk,
        } = &self.usage;
        let (now, later) = (self.forecast.due(), self.forecast.later());
        let waiting = self.forecast.waiting();
        let undo = waiting
            .iter()
            .find(|waiting| waiting.cause == WaitCause::Undo);
        let undo = undo.map(|waiting| waiting.totals).unwrap_or_default();
        let held = |count, size| Held { count, size };
        let day = |(date, share): (String, RemovalTotals)| DayShare {
            date,
            blob_count: share.blobs,
            size: share.bytes,
        };
        StoreItem {
            repository_count: totals.repositories,
            tag_count: totals.tags,
            manifests: held(totals.manifests, totals.manifest_bytes),
            blobs: held(totals.blobs, totals.blob_bytes),
            uploads: held(totals.uploads, *upload_bytes),
            garbage: Garbage {
                now: GarbageNow {
                    tag_count: now.tags,
                    manifest_count: now.manifests,
                    blob_count: now.blobs + totals.removals,
                    size: now.bytes + totals.removal_bytes,
                },
                later: GarbageLater {
                    tag_count: later.tags,
                    manifest_count: later.manifests,
                    blob_count: later.blobs,
                    size: later.bytes,
                    days: self.days().into_iter().map(day).collect(),
                    undo: UndoShare {
                        blob_count: undo.blobs,
                        size: undo.bytes,
                    },
                },
            },
            trash: held(totals.trash, totals.trash_bytes),
            database: DatabaseItem {
                size: database.file,
                free_size: database.free,
                log_size: database.log,
            },
            disk: DiskUsage {
                free_size: *free_disk,
                reserve_size: self.reserve,
                reason: self.refusal.clone(),
            },
        }
    }

    /// Converts it to JSON.
    pub fn as_json(&self) -> Value {
        json!(self.item())
    }
}
