//! The list of repositories, with the disk and the newest changes beside it.

use askama::Template;

use crate::escape;
use crate::oci::RepositoryName;
use crate::registry::{Error, ListOrder, ListQuery, Page as ListPage, Registry};
use crate::report::{self, DiskItem, GROWTH_DAYS, RepositoryItem, UsageItem, Who};
use crate::ui::changes::Change;
use crate::ui::disk::DiskBar;
use crate::ui::growth::GrowthCharts;
use crate::ui::page::Page;
use crate::ui::parts::{Bar, Count, Moment, RepositoryLabel, Size, Text};
use crate::ui::query::{Query, sort_word};
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// Number of the newest changes.
const CHANGES: usize = 9;

/// Form of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Folders,
    Flat,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    shell: Shell,
    rows: Vec<Row>,
    layout: Layout,
    order: ListOrder,
    /// Text that chooses from the list, as it was typed.
    chosen: Option<String>,
    links: Links,
    disk: Option<DiskItem>,
    bar: Option<DiskBar>,
    growth: Option<GrowthCharts>,
    changes: Vec<Change>,
    is_exclusive: bool,
}

#[derive(Template)]
#[template(path = "nothing.html")]
struct NothingPage {
    shell: Shell,
}

/// Queries of links to other forms of the list.
struct Links {
    folders: String,
    flat: String,
    by_name: String,
    by_push: String,
    by_pull: String,
    next: Option<String>,
    is_first: bool,
}

/// Row of the list.
enum Row {
    Folder(Folder),
    Repository(Box<Repository>),
}

/// Repositories whose names begin alike.
struct Folder {
    name: String,
    query: String,
    /// Sums, where the whole folder is on the page.
    tags: Option<u64>,
    size: Option<u64>,
}

struct Repository {
    item: RepositoryItem,
    /// Name without the folder above it.
    shown: String,
    is_inside: bool,
    /// Bytes that stand in its last column: those that deleting it would free, where these are told.
    size: u64,
    largest: u64,
    has_immutable: bool,
    has_rules: bool,
    is_public: bool,
    upstream: Option<String>,
    pusher: Who,
}

impl Repository {
    fn who(&self) -> Option<Text> {
        self.pusher.name.as_deref().map(Text::of)
    }

    fn label(&self) -> RepositoryLabel<'_> {
        RepositoryLabel(&self.shown)
    }

    fn bar(&self) -> Bar {
        Bar {
            part: self.size,
            whole: self.largest,
            class: "",
        }
    }
}

/// Makes the list of repositories; `typed` is what the query's pattern was made of.
///
/// # Errors
/// Those of the database.
pub async fn home(
    registry: &Registry,
    reader: &Reader,
    query: ListQuery,
    layout: Layout,
    typed: Option<String>,
) -> Result<Page, Error> {
    let order = query.order;
    let glob = query.pattern.as_ref().map(ToString::to_string);
    let is_first = query.after.is_none();
    let list = report::repositories(registry, query).await?;
    let shell = Shell::new(
        reader,
        Section::Repositories,
        "Repositories",
        twin(reader, order, glob.as_deref()),
    );
    if list.items.is_empty() && is_first && glob.is_none() {
        return Page::of(&NothingPage { shell });
    }
    let is_exclusive = reader.viewer.sees_everything();
    let disk = match is_exclusive {
        true => report::disk(registry).await,
        false => None,
    };
    let chosen = typed.filter(|_| glob.is_some());
    let links = links(order, layout, chosen.as_deref(), &list, is_first);
    let is_whole = is_first && list.next.is_none();
    let repositories = repositories(registry, reader, list.items).await?;
    let rows = match layout {
        Layout::Flat => repositories
            .into_iter()
            .map(|one| Row::Repository(Box::new(one)))
            .collect(),
        Layout::Folders => folded(repositories, is_whole),
    };
    let changes = match reader.is_administrator() {
        true => Change::newest(registry, &reader.viewer, CHANGES).await?,
        false => Vec::new(),
    };
    let live = disk.map(|disk| disk.live);
    let growth = match is_exclusive {
        true => Some(GrowthCharts::of(registry, reader, GROWTH_DAYS, live).await?),
        false => None,
    };
    Page::of(&HomePage {
        shell,
        growth,
        rows,
        layout,
        order,
        chosen,
        links,
        bar: disk.map(DiskBar::of),
        disk,
        changes,
        is_exclusive,
    })
}

fn twin(reader: &Reader, order: ListOrder, chosen: Option<&str>) -> Twin {
    let order = sort_word(order);
    let mut command = "registry ls".to_owned();
    if let Some(chosen) = chosen {
        command += &format!(" {}", escape::shell(chosen));
    }
    if order != "name" {
        command += &format!(" --sort {order}");
    }
    let query = Query::default().with("sort", Some(order).filter(|order| *order != "name"));
    Twin {
        command: format!("{command} --server {}", reader.site.url),
        api: format!("repositories{}", query.with("repositories", chosen)),
    }
}

fn links(
    order: ListOrder,
    layout: Layout,
    chosen: Option<&str>,
    list: &ListPage<RepositoryItem>,
    is_first: bool,
) -> Links {
    let here = |sort: Option<&str>, view: Option<&str>| {
        let query = Query::default().with("repositories", chosen);
        query.with("sort", sort).with("view", view)
    };
    let sort = Some(sort_word(order)).filter(|sort| *sort != "name");
    let view = Some("flat").filter(|_| layout == Layout::Flat);
    Links {
        folders: here(None, None).to_string(),
        flat: here(sort, Some("flat")).to_string(),
        by_name: here(None, view.filter(|_| sort.is_none())).to_string(),
        by_push: here(Some("pushed"), None).to_string(),
        by_pull: here(Some("pulled"), None).to_string(),
        next: list
            .next
            .as_deref()
            .map(|last| here(sort, view).with("last", Some(last)).to_string()),
        is_first,
    }
}

/// Adds to each repository what stands beside it.
async fn repositories(
    registry: &Registry,
    reader: &Reader,
    items: Vec<RepositoryItem>,
) -> Result<Vec<Repository>, Error> {
    let settings = registry.settings();
    let names = items
        .iter()
        .map(|item| RepositoryName::parse(&item.repository));
    let names: Vec<_> = names.filter_map(Result::ok).collect();
    let overview = report::overview(registry, names, &reader.viewer).await?;
    let mut overview = overview.into_iter().peekable();
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        // in the same order, but for what was removed since the row was read
        let Some(one) = overview.next_if(|one| one.usage.repository == item.repository) else {
            continue;
        };
        let policy = settings.retention.policy(&item.repository);
        found.push(Repository {
            size: exclusive(&one.usage),
            pusher: one.pusher,
            upstream: one.upstream,
            is_public: reader.is_public(&item.repository),
            shown: item.repository.clone(),
            is_inside: false,
            largest: 0,
            has_immutable: policy.is_some_and(|policy| !policy.immutable.is_empty()),
            has_rules: policy.is_some_and(|policy| !policy.tags.is_empty()),
            item,
        });
    }
    let largest = found.iter().map(|one| one.size).max().unwrap_or_default();
    found.iter_mut().for_each(|one| one.largest = largest);
    Ok(found)
}

fn exclusive(usage: &UsageItem) -> u64 {
    usage.exclusive_size.unwrap_or(usage.size)
}

/// Puts repositories below their folders; a repository outside of any has none above it.
fn folded(repositories: Vec<Repository>, is_whole: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::with_capacity(repositories.len());
    let mut open: Option<usize> = None;
    for mut repository in repositories {
        let name = repository.item.repository.clone();
        let Some((folder, rest)) = name.split_once('/') else {
            open = None;
            rows.push(Row::Repository(Box::new(repository)));
            continue;
        };
        let place = open
            .filter(|place| matches!(&rows[*place], Row::Folder(above) if above.name == folder));
        let place = place.unwrap_or_else(|| {
            let query = Query::default().with("repositories", Some(&format!("{folder}/**")));
            rows.push(Row::Folder(Folder {
                name: folder.to_owned(),
                query: query.to_string(),
                tags: is_whole.then_some(0),
                size: is_whole.then_some(0),
            }));
            rows.len() - 1
        });
        open = Some(place);
        if let Row::Folder(above) = &mut rows[place] {
            above.tags = above.tags.map(|sum| sum + repository.item.tag_count);
            above.size = above.size.map(|sum| sum + repository.size);
        }
        repository.shown = rest.to_owned();
        repository.is_inside = true;
        rows.push(Row::Repository(Box::new(repository)));
    }
    rows
}
