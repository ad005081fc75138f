//! Quotas, and what is used of them.

use serde::{Deserialize, Serialize};

use crate::registry::{Error, QuotaRow, Registry};

/// A quota.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaItem {
    pub name: String,
    pub size: u64,
    pub upload_size: u64,
    pub limit: u64,
    pub repository_count: u64,
}

impl From<QuotaRow> for QuotaItem {
    fn from(row: QuotaRow) -> Self {
        Self {
            name: row.name,
            size: row.usage.stored,
            upload_size: row.usage.uploading,
            limit: row.limit,
            repository_count: row.repositories,
        }
    }
}

/// Lists quotas.
///
/// # Errors
/// Those of the database.
pub async fn quotas(registry: &Registry) -> Result<Vec<QuotaItem>, Error> {
    let rows = registry.quotas().list().await?;
    Ok(rows.into_iter().map(QuotaItem::from).collect())
}
