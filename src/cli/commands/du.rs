//! `registry du`: disk usage by repository and tag.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write, stdout};
use std::sync::Arc;

use serde_json::{Value, json};
use tarkeep::oci::RepositoryName;
use tarkeep::registry::{
    Forecast, Registry, RemovalKind, RemovalTotals, Retention, StoreUsage, TagUsage, Usage,
};

use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::output::{Format, JsonArray, Table, count, size, time, written};

/// Show disk usage by repository or tag, and what is shared
///
/// Sizes are those of blobs on disk. LOGICAL counts every image in full, DEDUPLICATED counts each blob once, and EXCLUSIVE
/// counts only blobs that nothing else uses: deleting the repository or tag frees that much after garbage collection. To see
/// how much disk space a deletion frees, and when, run registry rm --dry-run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Show the tags of this repository instead of all repositories and the store
    repository: Option<String>,
    #[command(flatten)]
    store: Store,
    /// Output format: table, or JSON for scripts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        repository,
        store,
        output,
    } = arguments;
    let name = repository
        .map(|name| RepositoryName::parse(&name).map_err(|error| Error::Other(error.to_string())))
        .transpose()?;
    let (registry, retention) = store.open_with_rules().await?;
    let mut out = BufWriter::new(stdout().lock());
    match name {
        None => whole(&registry, &retention, output, &mut out).await,
        Some(name) => one(&registry, &retention, &name, output, &mut out).await,
    }
}

async fn whole(
    registry: &Registry,
    retention: &Retention,
    output: Format,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut table = Table::new(&[
        "REPOSITORY",
        "TAGS",
        "MANIFESTS",
        "LOGICAL",
        "DEDUPLICATED",
        "EXCLUSIVE",
    ]);
    let mut array = JsonArray::new();
    if output == Format::Json {
        written(write!(out, "{{ \"repositories\": "))?;
    }
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry.reports().usage_by_repository(last).await?;
        for (name, usage) in &page.items {
            match output {
                Format::Json => written(array.push(out, &usage_json(name, usage)))?,
                Format::Table => table.row(usage_row(name, usage)),
            }
        }
        if output == Format::Table {
            written(table.print(out))?;
        }
        after = page.next;
    }
    let (store, forecast) = (
        registry.reports().store_usage().await?,
        registry.reports().forecast(retention).await?,
    );
    written(match output {
        Format::Json => array
            .finish(out)
            .and_then(|()| writeln!(out, ", \"store\": {:#} }}", store_json(&store, &forecast)))
            .and_then(|()| out.flush()),
        Format::Table => print_store(out, &store, &forecast),
    })
}

fn usage_row(name: &RepositoryName, usage: &Usage) -> Vec<String> {
    let Usage {
        tags,
        manifests,
        logical,
        deduplicated,
        exclusive,
        ..
    } = *usage;
    vec![
        name.to_string(),
        tags.to_string(),
        manifests.to_string(),
        size(logical),
        size(deduplicated),
        size(exclusive),
    ]
}

fn usage_json(name: &RepositoryName, usage: &Usage) -> Value {
    json!({
        "repository": name.as_str(), "tags": usage.tags, "manifests": usage.manifests, "manifestBytes": usage.manifest_bytes,
        "logical": usage.logical, "deduplicated": usage.deduplicated, "exclusive": usage.exclusive,
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
            .entry(time(removal.at).chars().take(10).collect())
            .or_default();
        share.blobs += 1;
        share.bytes += removal.size;
    }
    days
}

fn print_store(out: &mut impl Write, store: &StoreUsage, forecast: &Forecast) -> io::Result<()> {
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
    writeln!(out)?;
    facts
        .iter()
        .try_for_each(|(label, fact)| writeln!(out, "{label:14} {fact}"))?;
    out.flush()
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
        .map(|(day, share)| json!({ "date": day, "bytes": share.bytes, "blobs": share.blobs }));
    json!({
        "repositories": totals.repositories,
        "tags": totals.tags,
        "manifests": { "count": totals.manifests, "bytes": totals.manifest_bytes },
        "blobs": { "count": totals.blobs, "bytes": totals.blob_bytes },
        "uploads": { "count": totals.uploads, "bytes": upload_bytes },
        "garbage": {
            "now": {
                "tags": now.tags, "manifests": now.manifests, "blobs": now.blobs + totals.removals,
                "bytes": now.bytes + totals.removal_bytes,
            },
            "later": {
                "tags": later.tags, "manifests": later.manifests, "blobs": later.blobs, "bytes": later.bytes,
                "days": days.collect::<Vec<_>>(),
            },
        },
        "deleted": { "manifests": totals.trash, "bytes": totals.trash_bytes },
        "database": { "bytes": database.file, "free": database.free, "log": database.log },
        "freeDisk": free_disk,
    })
}

async fn one(
    registry: &Registry,
    retention: &Retention,
    name: &RepositoryName,
    output: Format,
    out: &mut impl Write,
) -> Result<(), Error> {
    let usage = registry.reports().repository_usage(name).await?;
    let garbage = Arc::new(registry.reports().baseline(name, retention).await?);
    let mut table = Table::new(&["TAG", "LOGICAL", "EXCLUSIVE", "DIGEST"]);
    let mut array = JsonArray::new();
    if output == Format::Json {
        written(write!(
            out,
            "{{ \"usage\": {}, \"tags\": ",
            usage_json(name, &usage)
        ))?;
    }
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry
            .reports()
            .tag_usage(name, retention, Arc::clone(&garbage), last)
            .await?;
        for TagUsage {
            name,
            digest,
            logical,
            exclusive,
        } in page.items
        {
            match output {
                Format::Json => {
                    written(
                        array.push(out, &json!({ "tag": name, "digest": digest.as_str(), "logical": logical, "exclusive": exclusive })),
                    )?;
                }
                Format::Table => table.row(vec![
                    name,
                    size(logical),
                    size(exclusive),
                    digest.to_string(),
                ]),
            }
        }
        if output == Format::Table {
            written(table.print(out))?;
        }
        after = page.next;
    }
    if output == Format::Json {
        return written(
            array
                .finish(out)
                .and_then(|()| writeln!(out, "}}"))
                .and_then(|()| out.flush()),
        );
    }
    let text = format!(
        "{name}: {} and {}; {} logical, {} deduplicated, {} exclusive to it",
        count(usage.tags, "tag"),
        count(usage.manifests, "manifest"),
        size(usage.logical),
        size(usage.deduplicated),
        size(usage.exclusive)
    );
    written(writeln!(out, "\n{text}").and_then(|()| out.flush()))
}
