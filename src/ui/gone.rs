//! Content that no tag points at in a repository, and what was deleted there.

use askama::Template;

use crate::oci::{Glob, RepositoryName};
use crate::registry::{Error, ListOrder, ListQuery, Registry};
use crate::report::{self, RestorableItem, UntaggedItem};
use crate::ui::page::Page;
use crate::ui::parts::{Count, Moment, Promise, Short, Size, Text};
use crate::ui::query::Query;
use crate::ui::repository_head::{Head, Tab};
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// Number of items on a page.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "untagged.html")]
struct UntaggedPage {
    shell: Shell,
    head: Head,
    items: Vec<UntaggedItem>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "trash.html")]
struct TrashPage {
    shell: Shell,
    head: Head,
    items: Vec<RestorableItem>,
    has_more: bool,
    may_restore: bool,
}

/// Makes the list of what no tag points at.
///
/// # Errors
/// [`Error::NameUnknown`], and those of the database.
pub async fn untagged(
    registry: &Registry,
    reader: &Reader,
    name: &RepositoryName,
    query: ListQuery,
) -> Result<Page, Error> {
    let head = Head::of(registry, reader, name, Tab::Untagged).await?;
    let pattern = Glob::for_repositories(name.as_str()).map_err(Error::Internal)?;
    let query = ListQuery {
        pattern: Some(pattern),
        order: ListOrder::Pushed,
        limit: Some(PAGE),
        ..query
    };
    let page = report::untagged(registry, query).await?;
    let chosen = Query::default().with("repositories", Some(name.as_str()));
    let twin = Twin {
        command: format!("registry ls --untagged {name} --server {}", reader.site.url),
        api: format!("untagged{}", chosen.with("sort", Some("pushed"))),
    };
    Page::of(&UntaggedPage {
        shell: Shell::new(
            reader,
            Section::Repositories,
            format!("Untagged · {name}"),
            twin,
        ),
        head,
        items: page.items,
        next: page
            .next
            .map(|last| Query::default().with("last", Some(&last)).to_string()),
    })
}

/// Makes the list of what was deleted and can be restored.
///
/// # Errors
/// [`Error::NameUnknown`], and those of the database.
pub async fn trash(
    registry: &Registry,
    reader: &Reader,
    name: &RepositoryName,
) -> Result<Page, Error> {
    let head = Head::of(registry, reader, name, Tab::Trash).await?;
    let page = report::trash_of(registry, Some(name), &reader.viewer, String::new(), PAGE).await?;
    let twin = Twin {
        command: format!("registry restore {name}"),
        api: format!(
            "trash{}",
            Query::default().with("repository", Some(name.as_str()))
        ),
    };
    Page::of(&TrashPage {
        shell: Shell::new(
            reader,
            Section::Repositories,
            format!("Trash · {name}"),
            twin,
        ),
        head,
        may_restore: reader.may_delete && registry.check_writable().is_ok(),
        has_more: page.next.is_some(),
        items: page.items,
    })
}
