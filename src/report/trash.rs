//! Deleted content that can still be restored.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::oci::RepositoryName;
use crate::registry::{Error, Millis, Page, Registry, RemovedTagRow, TrashRow};
use crate::report::values::{Time, Who};
use crate::report::viewer::Viewer;

/// A deleted manifest, or a tag that was removed without its manifest.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestorableItem {
    pub kind: String,
    pub repository: String,
    pub digest: String,
    pub media_type: Option<String>,
    pub tags: Vec<String>,
    pub size: Option<u64>,
    pub deleted: Time,
    pub who: Who,
    pub until: Time,
}

impl RestorableItem {
    /// Tag or digest by which it is restored.
    pub fn reference(&self) -> &str {
        match self.tags.first() {
            Some(tag) if self.kind == TAG => tag,
            _ => &self.digest,
        }
    }
}

/// Lists what can be restored, after `last`: manifests, and then tags.
///
/// # Errors
/// Those of the database.
pub async fn trash(
    registry: &Registry,
    viewer: &Viewer,
    last: String,
    limit: usize,
) -> Result<Page<RestorableItem>, Error> {
    trash_of(registry, None, viewer, last, limit).await
}

/// Lists what can be restored in a repository, or in all, as [`trash`] does.
///
/// # Errors
/// Those of the database.
pub async fn trash_of(
    registry: &Registry,
    repository: Option<&RepositoryName>,
    viewer: &Viewer,
    last: String,
    limit: usize,
) -> Result<Page<RestorableItem>, Error> {
    let settings = registry.settings();
    let retention = &settings.retention;
    let mut items = Vec::new();
    // no digest is without a colon, so that the cursor of a manifest is told by its @
    let mut after = (last.is_empty() || last.contains('@')).then(|| last.clone());
    while let Some(last) = after {
        let page = registry.trash().list(repository, last).await?;
        let shown = page
            .items
            .iter()
            .filter(|row| viewer.shows(&row.repository));
        items.extend(shown.map(|row| manifest(row, viewer, retention.grace)));
        after = page.next.filter(|_| items.len() <= limit);
    }
    let mut after = match items.len() > limit {
        true => None,
        false if last.contains('@') => Some(String::new()),
        false => Some(last),
    };
    while let Some(last) = after {
        let trash = registry.trash();
        let page = trash.removed_tags(repository, retention, last).await?;
        let shown = page
            .items
            .iter()
            .filter(|row| viewer.shows(&row.repository));
        items.extend(shown.map(|row| tag(row, viewer, retention.grace)));
        after = page.next.filter(|_| items.len() <= limit);
    }
    let goes_on = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| goes_on).map(RestorableItem::place);
    Ok(Page { items, next })
}

impl RestorableItem {
    /// Cursor of what follows.
    fn place(&self) -> String {
        match &self.tags[..] {
            [tag] if self.kind == TAG => format!("{}:{tag}", self.repository),
            _ => format!("{}@{}", self.repository, self.digest),
        }
    }
}

const MANIFEST: &str = "manifest";
const TAG: &str = "tag";

/// Returns the end of the grace period of a deletion.
pub(super) fn restorable_until(deleted_at: Millis, grace: Duration) -> Millis {
    deleted_at.saturating_add(Millis::try_from(grace.as_millis()).unwrap_or(Millis::MAX))
}

fn manifest(row: &TrashRow, viewer: &Viewer, grace: Duration) -> RestorableItem {
    RestorableItem {
        kind: MANIFEST.to_owned(),
        repository: row.repository.clone(),
        digest: row.digest.to_string(),
        media_type: Some(row.media_type.clone()),
        tags: row.tags.clone(),
        size: Some(row.size),
        deleted: Time(row.deleted_at),
        who: viewer.who(&row.deleted_by),
        until: Time(restorable_until(row.deleted_at, grace)),
    }
}

fn tag(row: &RemovedTagRow, viewer: &Viewer, grace: Duration) -> RestorableItem {
    RestorableItem {
        kind: TAG.to_owned(),
        repository: row.repository.clone(),
        digest: row.digest.to_string(),
        media_type: None,
        tags: vec![row.tag.clone()],
        size: None,
        deleted: Time(row.removed_at),
        who: viewer.who(&row.removed_by),
        until: Time(restorable_until(row.removed_at, grace)),
    }
}
