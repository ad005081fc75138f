//! Removals by collection, now and later.

use serde_json::{Value, json};

use crate::registry::{Error, Forecast, PlannedRemoval, Registry, RemovalTotals};
use crate::report::values::Time;

/// Removals by collection, by the rules of the registry.
#[derive(Debug)]
pub struct CollectionReport {
    pub forecast: Forecast,
}

/// Foresees collection.
///
/// # Errors
/// Those of the database.
pub async fn collection(registry: &Registry) -> Result<CollectionReport, Error> {
    let settings = registry.settings();
    let forecast = registry.reports().forecast(&settings.retention).await?;
    Ok(CollectionReport { forecast })
}

impl CollectionReport {
    /// Converts the sum of what is removed now.
    pub fn now(&self) -> Value {
        share(&self.forecast.due())
    }

    /// Converts the sum of what is removed later.
    pub fn later(&self) -> Value {
        share(&self.forecast.later())
    }

    /// Converts one removal.
    pub fn removal(&self, removal: &PlannedRemoval) -> Value {
        json!({
            "kind": removal.kind,
            "repository": removal.repository,
            "tag": removal.tag,
            "digest": removal.digest.as_str(),
            "size": removal.size,
            "at": Time(removal.at),
            "due": removal.at <= self.forecast.now,
            "reason": removal.why,
        })
    }
}

fn share(share: &RemovalTotals) -> Value {
    json!({
        "tagCount": share.tags, "manifestCount": share.manifests, "blobCount": share.blobs, "size": share.bytes,
    })
}
