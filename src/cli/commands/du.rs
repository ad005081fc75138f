//! `registry du`: what eats the disk.

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

/// Tell what eats the disk: by repository, by tag and in all, and how much of it nothing else needs
///
/// Sizes are those of the files that hold blobs. LOGICAL counts every image whole, DEDUPLICATED every blob once, and EXCLUSIVE
/// what nothing else needs: deleting that alone, and collecting, frees it. What comes back by a deletion beyond what goes
/// anyway, and when, is what registry rm --dry-run tells.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Report on this repository and its tags instead of on all repositories and the store
    repository: Option<String>,
    #[command(flatten)]
    store: Store,
    /// Print a table, or JSON for scripts
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

/// What goes later, by the day on which it does.
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
    let mut facts = vec![
        (
            "Blobs",
            format!(
                "{} in {}",
                size(totals.blob_bytes),
                count(totals.blobs, "blob")
            ),
        ),
        (
            "Uploads",
            format!(
                "{} in {}",
                size(*upload_bytes),
                count(totals.uploads, "open session")
            ),
        ),
        (
            "Garbage now",
            format!(
                "{} in {}",
                size(now.bytes + totals.removal_bytes),
                count(now.blobs + totals.removals, "blob")
            ),
        ),
        (
            "Garbage later",
            format!("{} in {}", size(later.bytes), count(later.blobs, "blob")),
        ),
    ];
    let days: Vec<_> = days(forecast)
        .into_iter()
        .map(|(day, share)| {
            (
                day,
                format!("{} in {}", size(share.bytes), count(share.blobs, "blob")),
            )
        })
        .collect();
    facts.extend(
        days.iter()
            .map(|(day, share)| ("", format!("  {day}  {share}"))),
    );
    facts.extend([
        (
            "Manifests",
            format!(
                "{} in {}, in the database",
                size(totals.manifest_bytes),
                count(totals.manifests, "manifest")
            ),
        ),
        (
            "Deleted",
            format!(
                "{} in {}, in the database, until their grace period ends",
                size(totals.trash_bytes),
                count(totals.trash, "manifest")
            ),
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
