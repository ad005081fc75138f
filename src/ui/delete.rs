//! Deleting: what goes, stays and comes back, before a button; then the way back.

use askama::Template;

use crate::oci::RepositoryName;
use crate::registry::{Error, ListQuery, ManifestReference, Registry};
use crate::report::{self, DeletionItem, Outcome, Selection, TagItem, Time};
use crate::ui::page::Page;
use crate::ui::parts::{Count, Moment, Size};
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
    reference: String,
    repository: RepositoryName,
    rows: Vec<Row>,
    deletion: DeletionItem,
    /// Other tags of the same digests.
    stays: Vec<String>,
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

impl Row {
    /// First digits of the digest.
    fn short(&self) -> &str {
        let hex = self.digest.split_once(':').map_or("", |(_, hex)| hex);
        hex.get(..12).unwrap_or(hex)
    }
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
) -> Result<Page, Error> {
    let selection = Selection::of(registry, repository, reference).await?;
    let report = report::foresee_deletion(registry, selection).await?;
    let deletion = report.item(&Outcome::Foreseen, registry, &reader.viewer);
    let tags = tags_of(registry, repository).await?;
    let goes = |tag: &TagItem| {
        deletion
            .items
            .iter()
            .any(|item| item.tag.as_deref() == Some(&tag.tag))
    };
    let is_same = |tag: &&TagItem| deletion.items.iter().any(|item| item.digest == tag.digest);
    let stays = tags.iter().filter(is_same).filter(|tag| !goes(tag));
    let stays = stays.map(|tag| tag.tag.clone()).collect();
    let rows = deletion.items.iter().map(|item| {
        let found = tags.iter().find(|tag| item.tag.as_ref() == Some(&tag.tag));
        Row {
            tag: item.tag.clone(),
            digest: item.digest.clone(),
            pulled: found.and_then(|tag| tag.pulled),
        }
    });
    Page::of(&DeletePage {
        shell: shell(reader, repository, reference, "Delete"),
        what: what(reference),
        reference: reference.to_string(),
        repository: repository.clone(),
        rows: rows.collect(),
        stays,
        deletion,
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
    Page::of(&DeletedPage {
        shell: shell(reader, repository, reference, "Deleted"),
        what: what(reference),
        repository: repository.to_string(),
        reference: reference.to_string(),
        until: done.undo.as_ref().map(|undo| undo.until),
    })
}

async fn tags_of(registry: &Registry, repository: &RepositoryName) -> Result<Vec<TagItem>, Error> {
    let query = ListQuery::default();
    let found = registry
        .tags()
        .find(vec![repository.clone()], query)
        .await?;
    report::tags(registry, found.items).await
}

fn shell(
    reader: &Reader,
    repository: &RepositoryName,
    reference: &ManifestReference,
    title: &str,
) -> Shell {
    let mark = match reference {
        ManifestReference::Tag(_) => ':',
        ManifestReference::Digest(_) => '@',
    };
    let twin = Twin {
        command: format!("registry rm {repository}{mark}{reference}"),
        api: format!("deletions/{repository}/{reference}"),
    };
    Shell::new(reader, Section::Repositories, title, twin)
}

fn what(reference: &ManifestReference) -> String {
    match reference {
        ManifestReference::Tag(tag) => format!("tag {tag}"),
        ManifestReference::Digest(_) => "image".to_owned(),
    }
}
