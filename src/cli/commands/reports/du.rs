//! `registry du`: disk usage by repository and tag.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tarkeep::oci::RepositoryName;
use tarkeep::registry::{
    self, Forecast, ListQuery, Registry, RemovalKind, RemovalTotals, Retention, StoreUsage, TagKey,
    TagUsage, Usage, WaitCause, Waiting,
};

use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::keys;
use crate::cli::terminal::list::List;
use crate::cli::terminal::listing::{Listed, Selection, Sort, nothing_has};
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::reference::{self, Reference};
use crate::cli::terminal::removed;
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::values::{absolute, count, size};

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
    let (registry, retention) = store.open_with_rules().await?;
    let Some(reference) = reference else {
        let listed = selection.of(None, Sort::Size, &registry, "du").await?;
        let Listed::Repositories(query) = listed else {
            return Ok(());
        };
        return whole(&registry, &retention, query, format).await;
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
            let keys = registry.tags().find(names.clone(), query).await?;
            if keys.is_empty() && must_match {
                return removed::explained(&registry, Err(nothing_has(one_tag, &text))).await;
            }
            tags(&registry, &retention, &names, keys, format).await
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

async fn whole(
    registry: &Registry,
    retention: &Retention,
    query: ListQuery,
    format: Format,
) -> Result<(), Error> {
    let mut list = List::begin(format, "repositories", &REPOSITORY_COLUMNS)?;
    push_repositories(registry, query, &mut list).await?;
    let (store, forecast) = (
        registry.reports().store_usage().await?,
        registry.reports().forecast(retention).await?,
    );
    let refusal = refusal(registry);
    let mut object = store_json(&store, &forecast);
    object["disk"]["reserveSize"] = registry.settings().reserve.into();
    object["disk"]["reason"] = json!(refusal);
    list.field("store", &object)?;
    list.finish()?;
    match (format, refusal) {
        (Format::Json, _) => Ok(()),
        (Format::Text, None) => print_store(&store, &forecast),
        (Format::Text, Some(reason)) => {
            print_store(&store, &forecast)?;
            output::fact("Pushes", &format!("are refused: {reason}"))
        }
    }
}

/// Says why pushes are refused, if they are.
fn refusal(registry: &Registry) -> Option<String> {
    match registry.status().check_pushes() {
        Ok(()) => None,
        Err(registry::Error::Reserve) => Some(format!(
            "less than {} (storage.reserve) of the disk is free; registry gc says what can be freed",
            size(registry.settings().reserve)
        )),
        Err(registry::Error::StorageFull(shortage)) => Some(format!("the {shortage}")),
        Err(other) => Some(other.to_string()),
    }
}

async fn push_repositories(
    registry: &Registry,
    query: ListQuery,
    list: &mut List,
) -> Result<(), Error> {
    for row in registry.repositories().find(query).await? {
        let name = reference::repository(&row.name)?;
        match registry.reports().repository_usage(&name).await {
            // removed since the row was read
            Err(registry::Error::NameUnknown(_)) => {}
            usage => push_usage(list, &name, &usage?)?,
        }
    }
    Ok(())
}

fn push_usage(list: &mut List, name: &RepositoryName, usage: &Usage) -> Result<(), Error> {
    let Usage {
        tags,
        manifests,
        logical,
        deduplicated,
        exclusive,
        ..
    } = *usage;
    let cells = || {
        vec![
            name.as_str().into(),
            Cell::Count(tags),
            Cell::Count(manifests),
            Cell::Size(deduplicated),
            Cell::Size(logical),
            Cell::Size(exclusive),
        ]
    };
    list.push(cells, || usage_json(name, usage))
}

fn usage_json(name: &RepositoryName, usage: &Usage) -> Value {
    json!({
        "repository": name.as_str(), "tagCount": usage.tags, "manifestCount": usage.manifests, "manifestSize": usage.manifest_bytes,
        "size": usage.deduplicated, "logicalSize": usage.logical, "exclusiveSize": usage.exclusive,
    })
}

/// Groups later removals of blobs by day.
fn days(forecast: &Forecast) -> BTreeMap<String, RemovalTotals> {
    let mut days: BTreeMap<String, RemovalTotals> = BTreeMap::new();
    for removal in forecast
        .removals
        .iter()
        .filter(|removal| removal.kind == RemovalKind::Blob && removal.at > forecast.now)
    {
        let share = days
            .entry(absolute(removal.at).chars().take(10).collect())
            .or_default();
        share.blobs += 1;
        share.bytes += removal.size;
    }
    days
}

fn print_store(store: &StoreUsage, forecast: &Forecast) -> Result<(), Error> {
    let StoreUsage {
        totals,
        upload_bytes,
        database,
        free_disk,
    } = store;
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
    for (day, share) in days(forecast) {
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

fn store_json(store: &StoreUsage, forecast: &Forecast) -> Value {
    let StoreUsage {
        totals,
        upload_bytes,
        database,
        free_disk,
    } = store;
    let (now, later) = (forecast.due(), forecast.later());
    let days = days(forecast)
        .into_iter()
        .map(|(day, share)| json!({ "date": day, "size": share.bytes, "blobCount": share.blobs }));
    json!({
        "repositoryCount": totals.repositories,
        "tagCount": totals.tags,
        "manifests": { "count": totals.manifests, "size": totals.manifest_bytes },
        "blobs": { "count": totals.blobs, "size": totals.blob_bytes },
        "uploads": { "count": totals.uploads, "size": upload_bytes },
        "garbage": {
            "now": {
                "tagCount": now.tags, "manifestCount": now.manifests, "blobCount": now.blobs + totals.removals,
                "size": now.bytes + totals.removal_bytes,
            },
            "later": {
                "tagCount": later.tags, "manifestCount": later.manifests, "blobCount": later.blobs, "size": later.bytes,
                "days": days.collect::<Vec<_>>(),
            },
        },
        "trash": { "count": totals.trash, "size": totals.trash_bytes },
        "database": { "size": database.file, "freeSize": database.free, "logSize": database.log },
        "disk": { "freeSize": free_disk },
    })
}

async fn tags(
    registry: &Registry,
    retention: &Retention,
    names: &[RepositoryName],
    keys: Vec<TagKey>,
    format: Format,
) -> Result<(), Error> {
    let baseline = Arc::new(registry.reports().baseline(names, retention).await?);
    let mut usages = Vec::new();
    for name in names {
        let usage = registry.reports().repository_usage(name).await?;
        usages.push((name, usage));
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
    let repositories: Vec<_> = usages
        .iter()
        .map(|(name, usage)| usage_json(name, usage))
        .collect();
    list.field("repositories", &Value::from(repositories))?;
    list.next("tags")?;
    for keys in keys.chunks(BATCH) {
        let usages = registry
            .reports()
            .tag_usage(keys.to_vec(), retention, Arc::clone(&baseline));
        for usage in usages.await? {
            push_tag(&mut list, &usage, is_one)?;
        }
    }
    list.finish()?;
    match format {
        Format::Json => Ok(()),
        Format::Text => say_totals(&usages),
    }
}

fn push_tag(list: &mut List, usage: &TagUsage, is_one: bool) -> Result<(), Error> {
    let TagUsage {
        key,
        digest,
        logical,
        exclusive,
    } = usage;
    let cells = || {
        let mut cells = vec![
            Cell::from(&*key.name),
            Cell::Size(*logical),
            Cell::Size(*exclusive),
            Cell::from(digest),
        ];
        if !is_one {
            cells.insert(0, key.repository.as_str().into());
        }
        cells
    };
    list.push(cells, || {
        json!({
            "repository": key.repository.as_str(), "tag": key.name, "digest": digest.as_str(),
            "logicalSize": logical, "exclusiveSize": exclusive,
        })
    })
}

/// Prints the usage of the repositories whose tags were listed.
fn say_totals(usages: &[(&RepositoryName, Usage)]) -> Result<(), Error> {
    output::print("\n")?;
    for (name, usage) in usages {
        output::say(&format!(
            "{name}: {} and {}; {}, {} logical, {} exclusive to it",
            count(usage.tags, "tag"),
            count(usage.manifests, "manifest"),
            size(usage.deduplicated),
            size(usage.logical),
            size(usage.exclusive)
        ))?;
    }
    Ok(())
}
