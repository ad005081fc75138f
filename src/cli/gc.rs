//! `registry gc`, and `registry garbage-collect` as people know it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tarkeep::config::{Config, Loaded};
use tarkeep::registry::{KeepUntagged, Registry, Sweep, Swept};

use super::output::{self, Format, count, size, time};
use super::progress::Bar;
use super::{Failure, Store, log, place, settings};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Work beside a running server, or without one; it is the same, and always so
    #[arg(long)]
    online: bool,
    /// Only list what would go and why, and what waits for how long
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: Store,
    /// Print lines for people, or JSON for scripts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    // there is no other way to work; the word is accepted because people want to be sure
    let Arguments {
        online: _,
        dry_run,
        store,
        output,
    } = arguments;
    log::start_quiet()?;
    let (registry, retention) = store.open_with_rules()?;
    if dry_run {
        return super::forecast::print(&registry, &retention, output).await;
    }
    let is_ordinary = registry.recorded_retention()?.as_ref() == Some(&retention);
    let cleared = registry.reconcile().await?;
    let expired = registry.end_expired_uploads().await?;
    let mut swept = sweep(
        &registry,
        Sweep {
            retention,
            is_ordinary,
        },
        output == Format::Json,
    )
    .await?;
    swept.uploads += (expired + cleared.files) as u64;
    match output {
        Format::Json => output::print(format!("{}\n", json!(swept)).as_bytes())?,
        Format::Table => output::print(sentence(&swept).as_bytes())?,
    }
    failed(&swept)
}

/// Sweeps, and shows a terminal how far it is, unless nothing is to be shown.
async fn sweep(registry: &Registry, sweep: Sweep, is_quiet: bool) -> Result<Swept, Failure> {
    let Some(mut bar) = Bar::new().filter(|_| !is_quiet) else {
        return Ok(registry.sweep(sweep, None).await?);
    };
    Ok(registry
        .sweep(sweep, Some(&mut |progress| bar.tell(progress)))
        .await?)
}

fn sentence(swept: &Swept) -> String {
    format!(
        "collected {}, {}, {} and {}; {} with {} {} gone\n",
        count(swept.tags, "tag"),
        count(swept.manifests, "manifest"),
        count(swept.blobs, "blob"),
        count(swept.uploads, "upload"),
        count(swept.files, "file"),
        size(swept.bytes),
        if swept.files == 1 { "is" } else { "are" }
    )
}

fn failed(swept: &Swept) -> Result<(), Failure> {
    match swept.failures {
        0 => Ok(()),
        failures => {
            let things = count(failures, "thing");
            Err(Failure::Other(format!(
                "{things} could not be collected; the lines above name them"
            )))
        }
    }
}

#[derive(clap::Args)]
pub(super) struct Classic {
    /// The server's configuration
    #[arg(value_name = "CONFIG.yml")]
    config: PathBuf,
    /// Only say what would be removed
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    #[arg(action = clap::ArgAction::Set)]
    dry_run: bool,
    /// Remove manifests that no tag points at as well
    #[arg(short = 'm', long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    #[arg(action = clap::ArgAction::Set)]
    delete_untagged: bool,
    /// Say nothing
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    #[arg(action = clap::ArgAction::Set)]
    quiet: bool,
}

/// As distribution's command: everything that nothing needs goes now, where no server is running. Beside one, clients rely
/// on what they were told: leases and the grace period hold.
pub(super) async fn classic(arguments: Classic) -> Result<(), Failure> {
    log::start_quiet()?;
    let (Loaded { config, .. }, rules) =
        Config::draft(Some(&arguments.config), std::env::vars_os())?.finish_with(settings::of)?;
    let directory = place::data_directory(None, &config)?;
    place::check_foreign_store(&directory, &config)?;
    let registry = Registry::open_existing(&directory, rules)?;
    let alone = registry.lock_alone()?;
    let ordinary = registry.settings().retention.clone();
    let mut retention = ordinary.clone();
    if arguments.delete_untagged {
        retention.untagged = KeepUntagged::Never;
        retention
            .policies
            .iter_mut()
            .for_each(|policy| policy.untagged = policy.untagged.map(|_| KeepUntagged::Never));
    }
    if alone.is_some() {
        (retention.lease, retention.grace) = (Duration::ZERO, Duration::ZERO);
    }
    let forecast = registry.forecast(&retention).await?;
    if !arguments.quiet {
        output::print(super::forecast::classic_lines(&forecast).as_bytes())?;
    }
    if arguments.dry_run {
        return Ok(());
    }
    registry.reconcile().await?;
    registry.end_expired_uploads().await?;
    let swept = sweep(
        &registry,
        Sweep {
            is_ordinary: retention == ordinary,
            retention,
        },
        arguments.quiet,
    )
    .await?;
    if !arguments.quiet && alone.is_none() {
        let later = forecast.later();
        if let Some(last) = later.last {
            let until = time(last);
            output::print(
                format!(
                    "the data directory is in use by a server: {} more wait for leases, grace periods and rules, until {until}\n",
                    size(later.bytes)
                )
                .as_bytes(),
            )?;
        }
    }
    failed(&swept)
}
