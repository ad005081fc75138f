//! A repository: its tags, a row each.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;

use crate::escape;
use crate::oci::RepositoryName;
use crate::registry::{Attached, Error, ListOrder, ListQuery, Registry, TagKey, now};
use crate::report::{self, TagFactsItem, TagItem, TagUsageItem};
use crate::ui::page::Page;
use crate::ui::parts::{Bar, Count, Moment, Size, Text};
use crate::ui::query::{Query, sort_word};
use crate::ui::repository_head::{Head, Tab};
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// Maximum number of named tags of the same digest.
const SIBLINGS: usize = 3;
/// Time in which an end is near, in milliseconds.
const SOON: i64 = 3 * 24 * 3_600_000;

#[derive(Template)]
#[template(path = "repository.html")]
struct RepositoryPage {
    shell: Shell,
    head: Head,
    rows: Vec<Row>,
    order: ListOrder,
    chosen: Option<String>,
    links: Links,
    is_exclusive: bool,
    may_delete: bool,
}

impl RepositoryPage {
    fn matching(&self, glob: &str) -> Query {
        Query::default().with("tags", Some(glob))
    }

    fn sort(&self) -> &'static str {
        sort_word(self.order)
    }
}

/// Queries of links to other forms of the list.
struct Links {
    by_name: String,
    by_push: String,
    by_pull: String,
    by_size: String,
    next: Option<String>,
    is_first: bool,
}

/// A tag.
struct Row {
    item: TagItem,
    facts: Option<TagFactsItem>,
    freed: Option<u64>,
    largest: u64,
}

impl Row {
    fn platforms(&self) -> String {
        let short = |platform: &String| {
            let short = platform.strip_prefix("linux/").unwrap_or(platform);
            short.to_owned()
        };
        let all: Vec<_> = self.item.platforms.iter().map(short).collect();
        all.join(", ")
    }

    fn bar(&self) -> Bar {
        Bar {
            part: self.freed.unwrap_or_default(),
            whole: self.largest,
            class: "",
        }
    }

    fn who(&self) -> Option<Text> {
        let facts = self.facts.as_ref()?;
        facts.pushed_by.name.as_deref().map(Text::of)
    }

    fn siblings(&self) -> &[String] {
        let all = self.facts.as_ref().map_or(&[][..], |facts| &facts.siblings);
        &all[..all.len().min(SIBLINGS)]
    }

    fn more_siblings(&self) -> usize {
        let all = self.facts.as_ref().map_or(0, |facts| facts.siblings.len());
        all.saturating_sub(SIBLINGS)
    }

    fn has(&self, kind: Attached) -> bool {
        let facts = self.facts.as_ref();
        facts.is_some_and(|facts| facts.attached.contains(&kind))
    }

    fn is_immutable(&self) -> bool {
        self.facts.as_ref().is_some_and(|facts| facts.is_immutable)
    }

    fn is_soon(&self) -> bool {
        let expires = self.facts.as_ref().and_then(|facts| facts.expires);
        expires.is_some_and(|at| at.0 < now().saturating_add(SOON))
    }
}

/// Makes the list of the tags of a repository.
///
/// # Errors
/// [`Error::NameUnknown`], and those of the database.
pub async fn repository(
    registry: &Registry,
    reader: &Reader,
    name: &RepositoryName,
    query: ListQuery,
) -> Result<Page, Error> {
    let head = Head::of(registry, reader, name, Tab::Tags).await?;
    let (order, is_first) = (query.order, query.after.is_none());
    let chosen = query.pattern.as_ref().map(ToString::to_string);
    let list = registry.tags().find(vec![name.clone()], query).await?;
    let next = list.next.as_deref();
    let links = links(order, chosen.as_deref(), next, is_first);
    let rows = rows(registry, reader, name, list.items).await?;
    Page::of(&RepositoryPage {
        shell: Shell::new(
            reader,
            Section::Repositories,
            name.as_str(),
            twin(reader, name, order, chosen.as_deref()),
        ),
        head,
        rows,
        order,
        chosen,
        links,
        is_exclusive: reader.viewer.sees_everything(),
        may_delete: may_delete(registry, reader),
    })
}

/// Reports whether tags are offered to be deleted.
fn may_delete(registry: &Registry, reader: &Reader) -> bool {
    let settings = registry.settings();
    reader.may_delete && settings.delete && !settings.read_only
}

fn twin(reader: &Reader, name: &RepositoryName, order: ListOrder, chosen: Option<&str>) -> Twin {
    let sort = sort_word(order);
    let named = match chosen {
        Some(chosen) => format!("{name}:{chosen}"),
        None => name.to_string(),
    };
    let mut command = format!("registry ls {}", escape::shell(&named));
    if order != ListOrder::Name {
        command += &format!(" --sort {sort}");
    }
    let query = Query::default()
        .with("sort", Some(sort))
        .with("tags", chosen);
    Twin {
        command: format!("{command} --server {}", reader.site.url),
        api: format!("tags/{name}{query}"),
    }
}

fn links(order: ListOrder, chosen: Option<&str>, next: Option<&str>, is_first: bool) -> Links {
    let sorted = |order| {
        let sort = Some(sort_word(order)).filter(|_| order != ListOrder::Pushed);
        Query::default().with("tags", chosen).with("sort", sort)
    };
    Links {
        by_name: sorted(ListOrder::Name).to_string(),
        by_push: sorted(ListOrder::Pushed).to_string(),
        by_pull: sorted(ListOrder::Pulled).to_string(),
        by_size: sorted(ListOrder::Size).to_string(),
        next: next.map(|last| sorted(order).with("last", Some(last)).to_string()),
        is_first,
    }
}

/// Adds to each tag what stands beside it.
async fn rows(
    registry: &Registry,
    reader: &Reader,
    name: &RepositoryName,
    keys: Vec<TagKey>,
) -> Result<Vec<Row>, Error> {
    let tags = keys.iter().map(|key| key.name.to_string()).collect();
    let mut freed = freed(registry, reader, name, keys.clone()).await?;
    let facts = report::tag_facts(registry, name, tags, &reader.viewer).await?;
    let facts = facts.into_iter().map(|facts| (facts.tag.clone(), facts));
    let mut facts: BTreeMap<_, _> = facts.collect();
    let largest = freed.values().copied().max().unwrap_or_default();
    let items = report::tags(registry, keys).await?;
    let row = |item: TagItem| Row {
        facts: facts.remove(&item.tag),
        freed: freed.remove(&item.tag),
        item,
        largest,
    };
    Ok(items.into_iter().map(row).collect())
}

/// Returns the bytes that deleting each tag would free, where the reader is told.
async fn freed(
    registry: &Registry,
    reader: &Reader,
    name: &RepositoryName,
    keys: Vec<TagKey>,
) -> Result<BTreeMap<String, u64>, Error> {
    if !reader.viewer.sees_everything() {
        return Ok(BTreeMap::new());
    }
    let retention = registry.settings().retention.clone();
    let names = [name.clone()];
    let baseline = registry.reports().baseline(&names, &retention).await?;
    let usages = report::tag_usage(registry, keys, &Arc::new(baseline), &reader.viewer).await?;
    let size = |usage: TagUsageItem| Some((usage.tag, usage.exclusive_size?));
    Ok(usages.into_iter().filter_map(size).collect())
}
