//! `registry du`: disk usage by repository and tag.

use std::sync::Arc;

use serde_json::{Value, json};
use tarkeep::oci::RepositoryName;
use tarkeep::registry::{self, ListQuery, Registry, StoreUsage, TagKey, WaitCause, Waiting};
use tarkeep::report::{self, StoreReport, TagUsageItem, UsageItem, Viewer};

use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::keys;
use crate::cli::terminal::list::List;
use crate::cli::terminal::listing::{Listed, Selection, Sort, nothing_has};
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::reference::{self, Reference};
use crate::cli::terminal::removed;
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::values::{count, size};

/// Maximum number of tags whose usage is computed at once.
const BATCH: usize = 200;

/// Show disk usage by repository or tag, and what is shared
///
/// Sizes are those of blobs on disk. SIZE counts each blob once, LOGICAL counts every image in full, and EXCLUSIVE counts only
/// blobs that nothing else uses: deleting the repository or tag frees that much after garbage collection. To see how much disk
/// space a deletion frees, and when, run registry rm --dry-run.
#[derive(clap::Args)]
#[command(after_help = keys::DU)]
pub(crate) struct Arguments {
    /// Repository whose tags are shown, or a quoted glob: 'team/*' for repositories, 'team/*:pr-*' for tags [default: all
    /// repositories, and the store]
    #[arg(value_name = "REPOSITORY[:TAG]")]
    reference: Option<String>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        selection,
        store,
        output: Output { format },
    } = arguments;
    let reference = reference.as_deref().map(Reference::parse).transpose()?;
    let registry = store.open().await?;
    let Some(reference) = reference else {
        let listed = selection.of(None, Sort::Size, &registry, "du").await?;
        let Listed::Repositories(query) = listed else {
            return Ok(());
        };
        return whole(&registry, query, format).await;
    };
    let named = reference.resolve(&registry, "du").await?;
    let (text, one_tag) = (named.text.clone(), named.one_tag());
    let listed = selection.of(Some(named), Sort::Size, &registry, "du").await;
    match removed::explained(&registry, listed).await? {
        Listed::Repositories(query) => {
            let mut list = List::begin(format, "repositories", &REPOSITORY_COLUMNS)?;
            push_repositories(&registry, query, &mut list).await?;
            list.field("store", &Value::Null)?;
            list.finish()
        }
        Listed::Tags(names, query) => {
            let must_match = query.pattern.is_some() && query.since.is_none();
            let keys = registry.tags().find(names.clone(), query).await?.items;
            if keys.is_empty() && must_match {
                return removed::explained(&registry, Err(nothing_has(one_tag, &text))).await;
            }
            tags(&registry, &names, keys, format).await
        }
    }
}

const REPOSITORY_COLUMNS: [Column; 6] = [
    Column::name("REPOSITORY"),
    Column::number("TAGS"),
    Column::number("MANIFESTS"),
    Column::number("SIZE"),
    Column::number("LOGICAL"),
    Column::number("EXCLUSIVE"),
];

async fn whole(registry: &Registry, query: ListQuery, format: Format) -> Result<(), Error> {
    let mut list = List::begin(format, "repositories", &REPOSITORY_COLUMNS)?;
    push_repositories(registry, query, &mut list).await?;
    let store = report::store(registry).await?;
    list.field("store", &store.as_json())?;
    list.finish()?;
    if format == Format::Json {
        return Ok(());
    }
    print_store(&store)?;
    match &store.refusal {
        None => Ok(()),
        Some(reason) => output::fact("Pushes", &format!("are refused: {reason}")),
    }
}

async fn push_repositories(
    registry: &Registry,
    query: ListQuery,
    list: &mut List,
) -> Result<(), Error> {
    for row in registry.repositories().find(query).await?.items {
        let name = reference::repository(&row.name)?;
        match report::usage(registry, &name, &Viewer::owner()).await {
            // removed since the row was read
            Err(registry::Error::NameUnknown(_)) => {}
            usage => {
                let usage = usage?;
                list.push(|| cells(&usage), || json!(usage))?;
            }
        }
    }
    Ok(())
}

fn cells(usage: &UsageItem) -> Vec<Cell> {
    vec![
        (&*usage.repository).into(),
        Cell::Count(usage.tag_count),
        Cell::Count(usage.manifest_count),
        Cell::Size(usage.size),
        Cell::Size(usage.logical_size),
        usage.exclusive_size.map_or(Cell::Empty, Cell::Size),
    ]
}

fn print_store(report: &StoreReport) -> Result<(), Error> {
    let StoreUsage {
        totals,
        upload_bytes,
        database,
        free_disk,
    } = &report.usage;
    let forecast = &report.forecast;
    let (now, later) = (forecast.due(), forecast.later());
    let held = |bytes, number, noun| format!("{} in {}", size(bytes), count(number, noun));
    let mut facts = vec![
        ("Blobs", held(totals.blob_bytes, totals.blobs, "blob")),
        (
            "Uploads",
            held(*upload_bytes, totals.uploads, "open session"),
        ),
        (
            "Garbage now",
            held(
                now.bytes + totals.removal_bytes,
                now.blobs + totals.removals,
                "blob",
            ),
        ),
        ("Garbage later", held(later.bytes, later.blobs, "blob")),
    ];
    for (day, share) in report.days() {
        facts.push((
            "",
            format!("  {day}  {}", held(share.bytes, share.blobs, "blob")),
        ));
    }
    let waiting = forecast.waiting();
    let undo = waiting
        .iter()
        .filter(|waiting| waiting.cause == WaitCause::Undo);
    for Waiting { totals, .. } in undo.filter(|waiting| waiting.totals.blobs > 0) {
        let held = held(totals.bytes, totals.blobs, "blob");
        facts.push((
            "",
            format!("  for undo    {held}: registry gc --now frees that"),
        ));
    }
    let manifests = held(totals.manifest_bytes, totals.manifests, "manifest");
    let deleted = held(totals.trash_bytes, totals.trash, "manifest");
    facts.extend([
        ("Manifests", format!("{manifests}, in the database")),
        (
            "Deleted",
            format!("{deleted}, in the database, until their grace period ends"),
        ),
        (
            "Database",
            format!(
                "{}, of which {} free, and a log of {}",
                size(database.file),
                size(database.free),
                size(database.log)
            ),
        ),
        ("Free disk", size(*free_disk)),
    ]);
    output::print("\n")?;
    facts
        .iter()
        .try_for_each(|(label, fact)| output::fact(label, fact))
}

async fn tags(
    registry: &Registry,
    names: &[RepositoryName],
    keys: Vec<TagKey>,
    format: Format,
) -> Result<(), Error> {
    let retention = registry.settings().retention.clone();
    let baseline = Arc::new(registry.reports().baseline(names, &retention).await?);
    let mut usages = Vec::new();
    let owner = Viewer::owner();
    for name in names {
        usages.push(report::usage(registry, name, &owner).await?);
    }
    let is_one = names.len() == 1;
    let mut columns = vec![
        Column::name("TAG"),
        Column::number("LOGICAL"),
        Column::number("EXCLUSIVE"),
        Column::fixed("DIGEST"),
    ];
    if !is_one {
        columns.insert(0, Column::name("REPOSITORY"));
    }
    let mut list = List::object(format, &columns);
    list.field("repositories", &json!(usages))?;
    list.next("tags")?;
    for keys in keys.chunks(BATCH) {
        for usage in report::tag_usage(registry, keys.to_vec(), &baseline, &owner).await? {
            list.push(|| tag_cells(&usage, is_one), || json!(usage))?;
        }
    }
    list.finish()?;
    match format {
        Format::Json => Ok(()),
        Format::Text => say_totals(&usages),
    }
}

fn tag_cells(usage: &TagUsageItem, is_one: bool) -> Vec<Cell> {
    let mut cells = vec![
        Cell::from(&*usage.tag),
        Cell::Size(usage.logical_size),
        usage.exclusive_size.map_or(Cell::Empty, Cell::Size),
        Cell::digest(&usage.digest),
    ];
    if !is_one {
        cells.insert(0, (&*usage.repository).into());
    }
    cells
}

/// Prints the usage of the repositories whose tags were listed.
fn say_totals(usages: &[UsageItem]) -> Result<(), Error> {
    output::print("\n")?;
    for usage in usages {
        output::say(&format!(
            "{}: {} and {}; {}, {} logical, {} exclusive to it",
            usage.repository,
            count(usage.tag_count, "tag"),
            count(usage.manifest_count, "manifest"),
            size(usage.size),
            size(usage.logical_size),
            usage.exclusive_size.map(size).unwrap_or_default()
        ))?;
    }
    Ok(())
}
