//! Deleting: what goes, stays and comes back, before a button; then the way back.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;

use crate::escape;
use crate::oci::{Glob, RepositoryName, TagName};
use crate::registry::{Error, ManifestReference, Registry, TagKey};
use crate::report::{self, DeletionItem, Outcome, Selection, Time};
use crate::ui::page::Page;
use crate::ui::parts::{Count, Moment, Short, Size};
use crate::ui::query::Query;
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// Maximum number of tags that are deleted at once.
const SEVERAL: usize = 300;

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
    /// Fields of the form: all that the reader has seen.
    fields: Vec<(&'static str, String)>,
    seen: Seen,
    /// Number of tags that match and are not among these.
    left_out: usize,
}

/// State of a tag since a reader saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// This page is the first that shows it.
    Now,
    /// It points at another image than a page before this one showed.
    Moved,
}

/// Tags that are chosen to be deleted: by name, and by a glob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChosenTags {
    pub tags: Vec<TagName>,
    pub matching: Option<Glob>,
}

/// Outcome of the deletion of several tags.
#[derive(Clone, Debug, Default)]
pub struct DeletedTags {
    pub deleted: Vec<TagName>,
    /// Those that were moved or deleted since the reader saw them.
    pub moved: Vec<TagName>,
    /// End of undo.
    pub until: Option<Time>,
}

#[derive(Template)]
#[template(path = "deleted_several.html")]
struct DeletedSeveralPage {
    shell: Shell,
    repository: String,
    outcome: DeletedTags,
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
    let digest = selection.items.first().map(|item| item.digest.to_string());
    let twin = Twin {
        command: format!("registry rm {}", named(repository, reference)),
        api: format!("deletions/{repository}/{reference}"),
    };
    let frame = Frame {
        what: what(reference),
        twin,
        fields: digest
            .into_iter()
            .map(|digest| ("digest", digest))
            .collect(),
        seen,
        left_out: 0,
    };
    foreseen(registry, reader, repository, selection, frame).await
}

/// Shows what the deletion of several tags would do; of many, the first alone.
///
/// # Errors
/// Those of [`report::foresee_deletion`].
pub async fn delete_several(
    registry: &Registry,
    reader: &Reader,
    repository: &RepositoryName,
    chosen: &ChosenTags,
) -> Result<Page, Error> {
    // fails for an unknown repository
    registry
        .tags()
        .list(repository, String::new(), Some(0))
        .await?;
    let matching = match &chosen.matching {
        Some(glob) => report::selected_tags(registry, repository, Some(glob)).await?,
        None => Vec::new(),
    };
    let matching = matching.into_iter().filter_map(|item| item.tag);
    let mut tags: Vec<_> = chosen.tags.iter().map(ToString::to_string).collect();
    tags.extend(matching);
    tags.dedup();
    let left_out = tags.len().saturating_sub(SEVERAL);
    let mut selection = Selection::default();
    for tag in tags.iter().take(SEVERAL) {
        let Ok(tag) = TagName::parse(tag) else {
            continue;
        };
        match selection.add_tag(registry, repository, &tag).await {
            // deleted since it was chosen
            Err(Error::ManifestUnknown { .. }) => {}
            added => added?,
        }
    }
    let seen = selection.items.iter().filter_map(|item| {
        let tag = item.tag.as_deref()?;
        Some(("seen", format!("{tag}@{}", item.digest)))
    });
    let glob = chosen.matching.as_ref().map(ToString::to_string);
    let (query, command) = match &glob {
        Some(glob) => (
            Query::default().with("tags", Some(glob)),
            format!(
                "registry rm {}",
                escape::shell(&format!("{repository}:{glob}"))
            ),
        ),
        None => (
            Query::default(),
            tags.iter().fold("registry rm".to_owned(), |command, tag| {
                format!("{command} {repository}:{tag}")
            }),
        ),
    };
    let frame = Frame {
        what: match selection.items.len() {
            1 => "1 tag".to_owned(),
            number => format!("{number} tags"),
        },
        twin: Twin {
            command,
            api: format!("selections/{repository}{query}"),
        },
        fields: seen.collect(),
        seen: Seen::Now,
        left_out,
    };
    foreseen(registry, reader, repository, selection, frame).await
}

/// Frame of the page of a deletion.
struct Frame {
    what: String,
    twin: Twin,
    fields: Vec<(&'static str, String)>,
    seen: Seen,
    left_out: usize,
}

async fn foreseen(
    registry: &Registry,
    reader: &Reader,
    repository: &RepositoryName,
    selection: Selection,
    frame: Frame,
) -> Result<Page, Error> {
    let report = report::foresee_deletion(registry, selection).await?;
    let deletion = report.item(&Outcome::Foreseen, registry, &reader.viewer);
    let place = Arc::new(repository.clone());
    let goes: BTreeSet<_> = deletion
        .items
        .iter()
        .filter_map(|item| item.tag.clone())
        .collect();
    let keys = goes.iter().map(|tag| TagKey {
        repository: Arc::clone(&place),
        name: tag.as_str().into(),
    });
    let tags = report::tags(registry, keys.collect()).await?;
    let names = goes.iter().cloned().collect();
    let facts = report::tag_facts(registry, repository, names, &reader.viewer).await?;
    let stays: BTreeSet<_> = facts
        .into_iter()
        .flat_map(|facts| facts.siblings)
        .filter(|tag| !goes.contains(tag))
        .collect();
    let rows = deletion.items.iter().map(|item| {
        let found = tags.iter().find(|tag| item.tag.as_ref() == Some(&tag.tag));
        Row {
            tag: item.tag.clone(),
            digest: item.digest.clone(),
            pulled: found.and_then(|tag| tag.pulled),
        }
    });
    Page::of(&DeletePage {
        shell: Shell::new(reader, Section::Repositories, "Delete", frame.twin),
        what: frame.what,
        repository: repository.clone(),
        rows: rows.collect(),
        stays: stays.into_iter().collect(),
        deletion,
        fields: frame.fields,
        seen: frame.seen,
        left_out: frame.left_out,
    })
}

/// Shows that several tags were deleted, with a button that brings them back.
///
/// # Errors
/// [`Error::Internal`], which no template causes.
pub fn deleted_several(
    reader: &Reader,
    repository: &RepositoryName,
    outcome: DeletedTags,
) -> Result<Page, Error> {
    let trash = Query::default().with("repository", Some(repository.as_str()));
    let twin = Twin {
        command: format!("registry restore {repository}"),
        api: format!("trash{trash}"),
    };
    Page::of(&DeletedSeveralPage {
        shell: Shell::new(reader, Section::Repositories, "Deleted", twin),
        repository: repository.to_string(),
        outcome,
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
