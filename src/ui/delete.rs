//! Deleting: what goes, stays and comes back, before a button; then the way back.

use std::sync::Arc;

use askama::Template;

use crate::oci::RepositoryName;
use crate::registry::{Error, ManifestReference, Registry, TagKey};
use crate::report::{self, DeletionItem, Outcome, Selection, Time};
use crate::ui::page::Page;
use crate::ui::parts::{Count, Moment, Short, Size};
use crate::ui::query::Query;
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// Removed tag or manifest.
struct Row {
    tag: Option<String>,
    digest: String,
    pulled: Option<Time>,
}

#[derive(Template)]
#[template(path = "delete.html")]
struct DeletePage {
    shell: Shell,
    what: String,
    repository: RepositoryName,
    rows: Vec<Row>,
    deletion: DeletionItem,
    /// Other tags of the same digests.
    stays: Vec<String>,
    seen: Seen,
}

/// What a reader has seen of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing before this page.
    Now,
    /// An image that it does not point at any more.
    Moved,
}

#[derive(Template)]
#[template(path = "deleted.html")]
struct DeletedPage {
    shell: Shell,
    what: String,
    repository: String,
    reference: String,
    /// End of undo.
    until: Option<Time>,
}

impl DeletePage {
    fn item_repository(&self) -> &str {
        self.repository.as_str()
    }
}

/// Shows what a deletion would do, with a button.
///
/// # Errors
/// Those of [`report::foresee_deletion`].
pub async fn delete(
    registry: &Registry,
    reader: &Reader,
    repository: &RepositoryName,
    reference: &ManifestReference,
    seen: Seen,
) -> Result<Page, Error> {
    let selection = Selection::of(registry, repository, reference).await?;
    let report = report::foresee_deletion(registry, selection).await?;
    let deletion = report.item(&Outcome::Foreseen, registry, &reader.viewer);
    let place = Arc::new(repository.clone());
    let keys = deletion.items.iter().filter_map(|item| item.tag.as_deref());
    let keys = keys.map(|tag| TagKey {
        repository: Arc::clone(&place),
        name: tag.into(),
    });
    let tags = report::tags(registry, keys.collect()).await?;
    let stays = match reference {
        ManifestReference::Tag(tag) => {
            let tags = vec![tag.to_string()];
            let facts = report::tag_facts(registry, repository, tags, &reader.viewer).await?;
            facts.into_iter().flat_map(|facts| facts.siblings).collect()
        }
        // all of its tags go along
        ManifestReference::Digest(_) => Vec::new(),
    };
    let rows = deletion.items.iter().map(|item| {
        let found = tags.iter().find(|tag| item.tag.as_ref() == Some(&tag.tag));
        Row {
            tag: item.tag.clone(),
            digest: item.digest.clone(),
            pulled: found.and_then(|tag| tag.pulled),
        }
    });
    let twin = Twin {
        command: format!("registry rm {}", named(repository, reference)),
        api: format!("deletions/{repository}/{reference}"),
    };
    Page::of(&DeletePage {
        shell: Shell::new(reader, Section::Repositories, "Delete", twin),
        what: what(reference),
        repository: repository.clone(),
        rows: rows.collect(),
        stays,
        deletion,
        seen,
    })
}

/// Shows what was deleted, with a button that brings it back.
///
/// # Errors
/// [`Error::Internal`], which no template causes.
pub fn deleted(
    reader: &Reader,
    repository: &RepositoryName,
    reference: &ManifestReference,
    done: &DeletionItem,
) -> Result<Page, Error> {
    let trash = Query::default().with("repository", Some(repository.as_str()));
    let twin = Twin {
        command: format!("registry restore {}", named(repository, reference)),
        api: format!("trash{trash}"),
    };
    Page::of(&DeletedPage {
        shell: Shell::new(reader, Section::Repositories, "Deleted", twin),
        what: what(reference),
        repository: repository.to_string(),
        reference: reference.to_string(),
        until: done.undo.as_ref().map(|undo| undo.until),
    })
}

/// Name of what is deleted, as commands take it.
fn named(repository: &RepositoryName, reference: &ManifestReference) -> String {
    match reference {
        ManifestReference::Tag(tag) => format!("{repository}:{tag}"),
        ManifestReference::Digest(digest) => format!("{repository}@{digest}"),
    }
}

fn what(reference: &ManifestReference) -> String {
    match reference {
        ManifestReference::Tag(tag) => format!("tag {tag}"),
        ManifestReference::Digest(_) => "image".to_owned(),
    }
}
