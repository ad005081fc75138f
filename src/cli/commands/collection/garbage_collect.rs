//! `registry garbage-collect`, with distribution's flags and output.

use std::time::Duration;

use tarkeep::config::{Config, Loaded};
use tarkeep::registry::{KeepUntagged, Registry, Sweep, SweepBy, SweepOptions};
use tarkeep::report::CollectionReport;

use crate::cli::commands::collection::{forecast, gc};
use crate::cli::configuration::Configuration;
use crate::cli::error::Error;
use crate::cli::from_config::{defaults, log, registry};
use crate::cli::owner;
use crate::cli::terminal::keys;
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::values::{size, time};

#[derive(clap::Args)]
#[command(after_help = keys::GC)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: Configuration,
    /// Only print what would be removed
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    #[arg(
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "BOOL"
    )]
    #[arg(action = clap::ArgAction::Set)]
    dry_run: bool,
    /// Also remove untagged manifests
    #[arg(short = 'm', long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    #[arg(
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "BOOL"
    )]
    #[arg(action = clap::ArgAction::Set)]
    delete_untagged: bool,
    /// Print nothing
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    #[arg(
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "BOOL"
    )]
    #[arg(action = clap::ArgAction::Set)]
    quiet: bool,
    #[command(flatten)]
    output: Output,
}

/// Runs garbage collection as distribution's command does: everything unreferenced is removed now.
///
/// If a server is running, leases and the grace period still apply, because clients rely on them.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    log::start_quiet()?;
    let file = defaults::configuration(arguments.config.path()).ok_or_else(unnamed)?;
    let (Loaded { config, .. }, rules) =
        Config::draft(Some(&file), std::env::vars_os())?.finish_with(registry::settings)?;
    let directory = defaults::data_directory(None, &config)?;
    defaults::check_foreign_store(&directory, &config)?;
    let registry = Registry::open_existing(&directory, rules)
        .map_err(|failure| owner::explained(failure, &directory))?;
    let alone = registry.lock_alone()?;
    let ordinary = registry.settings().retention.clone();
    let mut retention = ordinary.clone();
    if arguments.delete_untagged {
        retention.keep_untagged = KeepUntagged::For(Duration::ZERO);
        retention
            .policies
            .iter_mut()
            .for_each(|policy| policy.keep_untagged = None);
    }
    if alone.is_some() {
        (retention.lease, retention.grace) = (Duration::ZERO, Duration::ZERO);
    }
    let report = CollectionReport {
        forecast: registry.reports().forecast(&retention).await?,
    };
    let is_text = !arguments.quiet && arguments.output.format == Format::Text;
    if is_text {
        output::print(&forecast::classic_lines(&report.forecast))?;
    }
    if !arguments.quiet && arguments.output.format == Format::Json {
        forecast::as_list(&report, Format::Json)?.finish()?;
    }
    if arguments.dry_run {
        return Ok(());
    }
    registry.uploads().recover().await?;
    registry.uploads().end_expired().await?;
    let Sweep { counts: swept, .. } = gc::sweep(
        &registry,
        None,
        SweepOptions {
            by: SweepBy::Command,
            uses_server_rules: retention == ordinary,
            retention,
        },
        !is_text,
    )
    .await?;
    if is_text && alone.is_none() {
        let later = report.forecast.later();
        if let Some(last) = later.last {
            let until = time(last);
            output::print(&format!(
                "a server is using the data directory: another {} must wait for leases, grace periods and rules, until {until}\n",
                size(later.bytes)
            ))?;
        }
    }
    gc::failed(&swept)
}

fn unnamed() -> Error {
    Error::Other(
        "name the server's configuration, as in registry garbage-collect config.yml; registry gc needs none"
            .to_owned(),
    )
}
