//! Lists: repositories, tags, untagged images, usage, and the trash.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::http::api_v1::parameters::{ListParameters, Sort, TrashParameters};
use crate::http::response::error::ApiError;
use crate::oci::RepositoryName;
use crate::registry::{Error, ListQuery, Page, Registry, TagKey};
use crate::report::{self, Viewer};

/// JSON of a report, and the cursor of the next page.
pub(super) struct Made {
    pub body: Value,
    pub next: Option<String>,
}

impl Made {
    pub(super) fn page<T: Serialize>(key: &str, page: Page<T>) -> Self {
        Self {
            body: json!({ key: page.items }),
            next: page.next,
        }
    }

    /// A list that has one page.
    pub(super) fn list<T: Serialize>(key: &str, items: &[T]) -> Self {
        Self::whole(json!({ key: items }))
    }

    /// A report that is no list.
    pub(super) fn whole(body: Value) -> Self {
        Self { body, next: None }
    }
}

pub(super) async fn repositories(
    registry: &Registry,
    viewer: &Viewer,
    list: &ListParameters,
) -> Result<Made, ApiError> {
    let query = list.of_repositories(Sort::Name, viewer.shown.clone())?;
    let page = report::repositories(registry, query).await?;
    Ok(Made::page("repositories", page))
}

pub(super) async fn untagged(
    registry: &Registry,
    viewer: &Viewer,
    list: &ListParameters,
) -> Result<Made, ApiError> {
    let query = list.of_repositories(Sort::Name, viewer.shown.clone())?;
    let page = report::untagged(registry, query).await?;
    Ok(Made::page("images", page))
}

/// Lists the tags of all repositories that the client may see and the query chooses.
pub(super) async fn tags(
    registry: &Registry,
    viewer: &Viewer,
    list: &ListParameters,
) -> Result<Made, ApiError> {
    let places = list.places(viewer.shown.clone())?;
    let names = registry.repositories().names(places).await?;
    tags_in(registry, names, list.of_tags(Sort::Name)?).await
}

/// Lists the tags of a repository.
pub(super) async fn tags_of(
    registry: &Registry,
    name: &RepositoryName,
    list: &ListParameters,
) -> Result<Made, ApiError> {
    check_listed(registry, name).await?;
    tags_in(registry, vec![name.clone()], list.of_tags(Sort::Name)?).await
}

async fn tags_in(
    registry: &Registry,
    names: Vec<RepositoryName>,
    query: ListQuery,
) -> Result<Made, ApiError> {
    let Page { items, next } = registry.tags().find(names, query).await?;
    let items = report::tags(registry, items).await?;
    Ok(Made::page("tags", Page { items, next }))
}

/// Shows the usage of repositories, and of the whole store to whoever sees all of it.
pub(super) async fn usage(
    registry: &Registry,
    viewer: &Viewer,
    list: &ListParameters,
) -> Result<Made, ApiError> {
    let query = list.of_repositories(Sort::Size, viewer.shown.clone())?;
    let page = registry.repositories().find(query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        let Ok(name) = RepositoryName::parse(&row.name) else {
            continue;
        };
        match report::usage(registry, &name, viewer).await {
            // removed since the row was read
            Err(Error::NameUnknown(_)) => {}
            usage => items.push(usage?),
        }
    }
    let store = match list.is_whole() && viewer.sees_everything() {
        true => Some(report::store(registry).await?.as_json()),
        false => None,
    };
    Ok(Made {
        body: json!({ "repositories": items, "store": store }),
        next: page.next,
    })
}

/// Shows the usage of a repository and of its tags.
pub(super) async fn usage_of(
    registry: &Registry,
    viewer: &Viewer,
    name: &RepositoryName,
    list: &ListParameters,
) -> Result<Made, ApiError> {
    let usage = report::usage(registry, name, viewer).await?;
    let page = registry
        .tags()
        .find(vec![name.clone()], list.of_tags(Sort::Size)?)
        .await?;
    let tags = tag_usage(registry, viewer, name, page.items).await?;
    Ok(Made {
        body: json!({ "repositories": [usage], "tags": tags }),
        next: page.next,
    })
}

async fn tag_usage(
    registry: &Registry,
    viewer: &Viewer,
    name: &RepositoryName,
    keys: Vec<TagKey>,
) -> Result<Vec<report::TagUsageItem>, Error> {
    let retention = registry.settings().retention.clone();
    let names = [name.clone()];
    let baseline = registry.reports().baseline(&names, &retention).await?;
    report::tag_usage(registry, keys, &Arc::new(baseline), viewer).await
}

pub(super) async fn trash(
    registry: &Registry,
    viewer: &Viewer,
    page: &TrashParameters,
) -> Result<Made, ApiError> {
    let last = page.last.clone().unwrap_or_default();
    let (repository, limit) = (page.repository()?, page.limit());
    let page = report::trash_of(registry, repository.as_ref(), viewer, last, limit).await?;
    Ok(Made::page("restorable", page))
}

/// Fails for a repository without content.
pub(super) async fn check_listed(registry: &Registry, name: &RepositoryName) -> Result<(), Error> {
    let tags = registry.tags();
    tags.list(name, String::new(), Some(0)).await.map(drop)
}
