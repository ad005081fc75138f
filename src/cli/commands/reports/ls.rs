//! `registry ls`: repositories, or tags.

use serde_json::json;
use tarkeep::registry::{ListQuery, Registry, TagKey};
use tarkeep::remote::Remote;
use tarkeep::report::{self, RepositoryItem, TagItem};

use crate::cli::commands::reports::untagged;
use crate::cli::error::Error;
use crate::cli::place::{Place, RemoteList};
use crate::cli::terminal::list::List;
use crate::cli::terminal::listing::{Listed, Selection, Sort, nothing_has};
use crate::cli::terminal::output::{Format, Output};
use crate::cli::terminal::reference::{Named, Names, Reference};
use crate::cli::terminal::removed;
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::values::count;

/// Maximum number of tags whose details are read at once.
const BATCH: usize = 500;

/// List repositories, or the tags of one
///
/// registry ls                        all repositories
/// registry ls team/app               tags of a repository
/// registry ls 'team/**'              repositories that match a glob (quoted)
/// registry ls 'team/app:pr-*'        tags that match a glob
/// registry ls --sort size --limit 10 the ten largest repositories
/// registry ls --untagged team/app    images without a tag
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Repository whose tags are listed, or a quoted glob: 'team/*' for repositories, 'team/*:pr-*' for tags [default: all
    /// repositories]
    #[arg(value_name = "REPOSITORY[:TAG]")]
    reference: Option<String>,
    /// List images that no tag points at, with the tags that they had: those of a repository, of a glob, or of all
    #[arg(long)]
    untagged: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        untagged: is_untagged,
        selection,
        place,
        output: Output { format },
    } = arguments;
    let reference = reference.as_deref().map(Reference::parse).transpose()?;
    if let Some(remote) = place.server()? {
        let asked = elsewhere(&remote, reference, &selection, is_untagged)?;
        return asked.show(format).await;
    }
    let store = place.store;
    let registry = store.open().await?;
    if is_untagged {
        let query = selection.of_repositories(reference, &registry, "ls --untagged");
        let query = removed::explained(&registry, query.await).await?;
        return untagged::list(&registry, query, format).await;
    }
    let (text, named) = match reference {
        None => (String::new(), None),
        Some(reference) => {
            let named = reference.resolve(&registry, "ls").await?;
            (named.text.clone(), Some(named))
        }
    };
    let one_tag = named.as_ref().and_then(Named::one_tag);
    let listed = selection.of(named, Sort::Name, &registry, "ls").await;
    match removed::explained(&registry, listed).await? {
        Listed::Repositories(query) => repositories(&registry, query, format).await,
        Listed::Tags(names, query) => {
            // an empty repository is no mistake, but a tag that does not exist is
            let must_match = query.pattern.is_some() && query.since.is_none();
            let is_one = names.len() == 1;
            let keys = registry.tags().find(names, query).await?.items;
            if keys.is_empty() && must_match {
                return removed::explained(&registry, Err(nothing_has(one_tag, &text))).await;
            }
            tags(&registry, keys, is_one, format).await
        }
    }
}

/// A list at a server, and what its items are.
struct Asked<'r> {
    list: RemoteList<'r>,
    kind: Kind,
}

enum Kind {
    Repositories,
    /// Of one repository or of several.
    Tags {
        is_one: bool,
    },
    Untagged,
}

/// Finds out what a server is asked for.
fn elsewhere<'r>(
    remote: &'r Remote,
    reference: Option<Reference>,
    selection: &Selection,
    is_untagged: bool,
) -> Result<Asked<'r>, Error> {
    let named = reference
        .map(|reference| reference.elsewhere("ls"))
        .transpose()?;
    let mut parameters = selection.parameters()?;
    let (path, key, kind) = match named {
        None if is_untagged => ("untagged".to_owned(), "images", Kind::Untagged),
        None => (
            "repositories".to_owned(),
            "repositories",
            Kind::Repositories,
        ),
        Some(named) if is_untagged => {
            let glob = named.whole("ls --untagged")?;
            parameters.push(("repositories", glob.to_string()));
            ("untagged".to_owned(), "images", Kind::Untagged)
        }
        Some(named) => {
            let (names, tags) = named.tags("ls")?;
            let is_whole = tags.is_none();
            parameters.extend(tags.map(|tags| ("tags", tags.to_string())));
            match names {
                Names::Matching(glob) => {
                    parameters.push(("repositories", glob.to_string()));
                    match is_whole {
                        true => (
                            "repositories".to_owned(),
                            "repositories",
                            Kind::Repositories,
                        ),
                        false => ("tags".to_owned(), "tags", Kind::Tags { is_one: false }),
                    }
                }
                Names::One(name) => (format!("tags/{name}"), "tags", Kind::Tags { is_one: true }),
            }
        }
    };
    let mut list = RemoteList::new(remote, path, key);
    (list.parameters, list.limit) = (parameters, selection.limit());
    Ok(Asked { list, kind })
}

impl Asked<'_> {
    async fn show(self, format: Format) -> Result<(), Error> {
        let asked = self.list;
        match self.kind {
            Kind::Repositories => {
                let items: Vec<RepositoryItem> = asked.all().await?;
                let has_caches = items.iter().any(|item| item.upstream.is_some());
                show_repositories(&items, has_caches, format)
            }
            Kind::Untagged => untagged::show(&asked.all().await?, format),
            Kind::Tags { is_one } => {
                let items: Vec<TagItem> = asked.all().await?;
                let shape = Shape {
                    is_one,
                    has_damage: items.iter().any(|item| !item.damage.is_empty()),
                    has_caches: items.iter().any(|item| item.upstream.is_some()),
                };
                let mut list = List::begin(format, "tags", &shape.columns())?;
                for item in &items {
                    list.push(|| cells(item, shape), || json!(item))?;
                }
                list.finish()
            }
        }
    }
}

const REPOSITORY_COLUMNS: [Column; 7] = [
    Column::name("REPOSITORY"),
    Column::number("TAGS"),
    Column::number("MANIFESTS"),
    Column::number("SIZE"),
    Column::fixed("PUSHED"),
    Column::fixed("PULLED"),
    Column::fixed("CHECKED").optional(),
];

async fn repositories(registry: &Registry, query: ListQuery, format: Format) -> Result<(), Error> {
    let has_caches = registry.reports().has_caches().await?;
    let items = report::repositories(registry, query).await?.items;
    show_repositories(&items, has_caches, format)
}

/// Shows repositories, with their upstreams if any is a cache.
fn show_repositories(
    items: &[RepositoryItem],
    has_caches: bool,
    format: Format,
) -> Result<(), Error> {
    let mut columns = REPOSITORY_COLUMNS.to_vec();
    columns.extend(has_caches.then_some(UPSTREAM));
    let mut list = List::begin(format, "repositories", &columns)?;
    for item in items {
        let cells = || {
            let mut cells = repository_cells(item);
            cells.extend(has_caches.then(|| upstream_cell(item.upstream.as_deref())));
            cells
        };
        list.push(cells, || json!(item))?;
    }
    list.finish()
}

/// Column of the upstream of which something is a cache.
const UPSTREAM: Column = Column::text("CACHED FROM").optional();

fn upstream_cell(upstream: Option<&str>) -> Cell {
    upstream.map_or(Cell::Empty, Cell::from)
}

fn repository_cells(item: &RepositoryItem) -> Vec<Cell> {
    vec![
        (&*item.repository).into(),
        Cell::Count(item.tag_count),
        Cell::Count(item.manifest_count),
        Cell::Size(item.size),
        Cell::from(item.pushed),
        item.pulled.into(),
        item.checked.into(),
    ]
}

async fn tags(
    registry: &Registry,
    keys: Vec<TagKey>,
    is_one: bool,
    format: Format,
) -> Result<(), Error> {
    let shape = Shape {
        is_one,
        has_damage: registry.reports().has_damage().await?,
        has_caches: registry.reports().has_caches().await?,
    };
    let mut list = List::begin(format, "tags", &shape.columns())?;
    for keys in keys.chunks(BATCH) {
        for item in report::tags(registry, keys.to_vec()).await? {
            let cells = || cells(&item, shape);
            list.push(cells, || json!(item))?;
        }
    }
    list.finish()
}

/// Columns of a list of tags beside those that it always has.
#[derive(Clone, Copy)]
struct Shape {
    /// True if the tags are those of one repository, which is not named.
    is_one: bool,
    has_damage: bool,
    has_caches: bool,
}

impl Shape {
    fn columns(self) -> Vec<Column> {
        let mut columns = vec![
            Column::name("TAG"),
            Column::number("SIZE"),
            Column::text("PLATFORMS").optional(),
            Column::fixed("PUSHED"),
            Column::fixed("PULLED"),
            Column::fixed("CHECKED").optional(),
            Column::fixed("DIGEST"),
        ];
        if self.has_damage {
            columns.push(Column::text("DAMAGED"));
        }
        columns.extend(self.has_caches.then_some(UPSTREAM));
        if !self.is_one {
            columns.insert(0, Column::name("REPOSITORY"));
        }
        columns
    }
}

fn cells(item: &TagItem, shape: Shape) -> Vec<Cell> {
    let mut cells = vec![
        Cell::from(&*item.tag),
        item.size.map_or(Cell::Empty, Cell::Size),
        item.platforms.join(",").into(),
        Cell::from(item.pushed),
        item.pulled.map_or("never".into(), Cell::from),
        item.checked.into(),
        Cell::digest(&item.digest),
    ];
    if shape.has_damage {
        cells.push(match item.damage.len() as u64 {
            0 => Cell::Empty,
            pieces => count(pieces, "piece").into(),
        });
    }
    if shape.has_caches {
        cells.push(upstream_cell(item.upstream.as_deref()));
    }
    if !shape.is_one {
        cells.insert(0, (&*item.repository).into());
    }
    cells
}
