//! `registry gc`.

use serde_json::{Value, json};
use tarkeep::registry::{Registry, SweepCounts, SweepOptions};

use crate::cli::commands::collection::forecast;
use crate::cli::error::Error;
use crate::cli::from_config::log;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::values::{count, size};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Has no effect: collection is always safe beside a running server
    #[arg(long)]
    online: bool,
    /// Only list what would be removed, when and why
    #[arg(long)]
    dry_run: bool,
    /// Follow the system's clock although it is behind the registry's: it was ahead, and is right now
    #[arg(long, conflicts_with = "dry_run")]
    accept_clock: bool,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    // collection is always online; the flag exists because people want to be sure
    let Arguments {
        online: _,
        dry_run,
        accept_clock,
        store,
        output: Output { format },
    } = arguments;
    log::start_quiet()?;
    let (registry, retention) = store.open_with_rules().await?;
    if accept_clock {
        return accept(&registry, format).await;
    }
    if dry_run {
        return forecast::print(&registry, &retention, format).await;
    }
    let uses_server_rules = registry.gc().recorded_retention().await?.as_ref() == Some(&retention);
    let cleared = registry.uploads().recover().await?;
    let expired = registry.uploads().end_expired().await?;
    let mut swept = sweep(
        &registry,
        SweepOptions {
            retention,
            uses_server_rules,
        },
        format == Format::Json,
    )
    .await?;
    swept.uploads += (expired + cleared.files) as u64;
    match format {
        Format::Json => json::print(&as_json(&swept))?,
        Format::Text => output::say(&sentence(&swept))?,
    }
    failed(&swept)
}

/// Has the server set the registry's clock back.
async fn accept(registry: &Registry, format: Format) -> Result<(), Error> {
    if registry.gc().confirm_clock().await? {
        if format == Format::Json {
            return json::print(&json!({ "accepted": true }));
        }
        output::say(
            "the clock is accepted: a running server corrects the recorded times within a minute, another when it starts",
        )
    } else {
        Err(Error::Other(
            "the system's clock is not behind the registry's by more than a day: there is nothing to accept"
                .to_owned(),
        ))
    }
}

/// Sweeps, with a progress bar if standard error is a terminal and `is_quiet` is false.
pub(super) async fn sweep(
    registry: &Registry,
    sweep: SweepOptions,
    is_quiet: bool,
) -> Result<SweepCounts, Error> {
    let Some(bar) = Bar::of_collection().filter(|_| !is_quiet) else {
        return Ok(registry.gc().sweep(sweep, None).await?);
    };
    Ok(registry
        .gc()
        .sweep(sweep, Some(&mut |progress| bar.update(progress)))
        .await?)
}

fn sentence(swept: &SweepCounts) -> String {
    format!(
        "collected {}, {}, {} and {}; {} with {} {} removed",
        count(swept.tags, "tag"),
        count(swept.manifests, "manifest"),
        count(swept.blobs, "blob"),
        count(swept.uploads, "upload"),
        count(swept.files, "file"),
        size(swept.bytes),
        if swept.files == 1 { "was" } else { "were" }
    )
}

fn as_json(swept: &SweepCounts) -> Value {
    json!({
        "tagCount": swept.tags, "manifestCount": swept.manifests, "blobCount": swept.blobs, "uploadCount": swept.uploads,
        "fileCount": swept.files, "size": swept.bytes, "failureCount": swept.failures,
    })
}

pub(super) fn failed(swept: &SweepCounts) -> Result<(), Error> {
    match swept.failures {
        0 => Ok(()),
        failures => {
            let things = count(failures, "item");
            Err(Error::Other(format!(
                "{things} could not be removed; see the lines above"
            )))
        }
    }
}
