//! All states of a tag.

use std::collections::HashSet;

use askama::Template;

use crate::oci::{RepositoryName, TagName};
use crate::registry::{Error, Registry};
use crate::report::{self, StateItem};
use crate::ui::page::Page;
use crate::ui::parts::{Moment, Short, Text};
use crate::ui::query::Query;
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    shell: Shell,
    name: String,
    tag: String,
    states: Vec<StateItem>,
    /// Digests of those whose manifests are still there.
    stored: HashSet<String>,
    next: Option<String>,
    /// True if the reader may point the tag at a former state.
    may_restore: bool,
}

impl HistoryPage {
    /// Reports whether the tag can go back to a state.
    fn is_offered(&self, state: &StateItem) -> bool {
        self.may_restore && state.end.is_some() && self.stored.contains(&state.digest)
    }
}

/// Makes the page of the states of a tag, newest first.
///
/// # Errors
/// [`Error::ManifestUnknown`] for a tag that never was, and those of the database.
pub async fn history(
    registry: &Registry,
    reader: &Reader,
    (name, tag): (&RepositoryName, &TagName),
    last: Option<&str>,
) -> Result<Page, Error> {
    let page = report::history(registry, name, tag, last, &reader.viewer).await?;
    if page.items.is_empty() && last.is_none() {
        return Err(Error::ManifestUnknown {
            repository: name.clone(),
            reference: tag.to_string(),
            needed_by: None,
        });
    }
    let twin = Twin {
        command: format!("registry tag history {name}:{tag}"),
        api: format!("history/{name}/{tag}"),
    };
    let title = format!("History of {name}:{tag}");
    Page::of(&HistoryPage {
        shell: Shell::new(reader, Section::Repositories, title, twin),
        name: name.to_string(),
        tag: tag.to_string(),
        stored: report::stored(registry, name, &page.items).await?,
        states: page.items,
        may_restore: reader.may_move_tags && registry.check_writable().is_ok(),
        next: page
            .next
            .map(|last| Query::default().with("last", Some(&last)).to_string()),
    })
}
