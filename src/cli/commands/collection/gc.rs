//! `registry gc`.

use serde_json::{Value, json};
use tarkeep::registry::{
    DeletedContent, Progress, Registry, RemovedByRule, Retention, Sweep, SweepBy, SweepCounts,
    SweepOptions, Watcher,
};

use crate::cli::commands::collection::forecast;
use crate::cli::commands::collection::gc_now::DeletedPlan;
use crate::cli::commands::collection::waiting::Leftovers;
use crate::cli::error::Error;
use crate::cli::from_config::log;
use crate::cli::store::Store;
use crate::cli::terminal::confirm::Confirmation;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::values::{count, named_and_more, size};

#[derive(clap::Args)]
#[command(after_help = keys::GC)]
pub(crate) struct Arguments {
    /// With --now: repositories, or quoted globs such as 'team/*' [default: all]
    #[arg(value_name = "REPOSITORY", requires = "now")]
    references: Vec<String>,
    /// Free what was deleted without waiting, and end its undo; what clients push or pull stays
    #[arg(long)]
    now: bool,
    /// Has no effect: collection is always safe beside a running server
    #[arg(long)]
    online: bool,
    /// Only list what would be removed, when and why
    #[arg(long)]
    dry_run: bool,
    /// Follow the system's clock although it is behind the registry's: it was ahead, and is right now
    #[arg(long, conflicts_with_all = ["dry_run", "now"])]
    accept_clock: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    // collection is always online; the flag exists because people want to be sure
    let Arguments {
        references,
        now,
        online: _,
        dry_run,
        accept_clock,
        confirmation,
        store,
        output: Output { format },
    } = arguments;
    log::start_quiet()?;
    let (registry, retention) = store.open_with_rules().await?;
    if accept_clock {
        return accept(&registry, format).await;
    }
    let mut deleted = None;
    if now {
        if !dry_run {
            confirmation.check_possible()?;
        }
        let plan = DeletedPlan::find(&registry, &retention, &references).await?;
        if dry_run && format == Format::Json {
            return json::print(&plan.as_json());
        }
        if plan.is_empty() && format == Format::Text {
            output::say("nothing is left of what was deleted")?;
        } else if format == Format::Text {
            plan.show()?;
        }
        if dry_run {
            return Ok(());
        }
        if !plan.is_empty() {
            confirmation.ask(&plan.question())?;
        }
        deleted = Some(plan.content);
    } else if dry_run {
        return forecast::print(&registry, &retention, format).await;
    }
    collect(&registry, retention, deleted, format).await
}

/// Collects what is due, after deleted content that is to go, and says why the rest stays.
async fn collect(
    registry: &Registry,
    retention: Retention,
    deleted: Option<DeletedContent>,
    format: Format,
) -> Result<(), Error> {
    let uses_server_rules = registry.gc().recorded_retention().await?.as_ref() == Some(&retention);
    let cleared = registry.uploads().recover().await?;
    let expired = registry.uploads().end_expired().await?;
    let options = SweepOptions {
        by: SweepBy::Command,
        retention: retention.clone(),
        uses_server_rules,
    };
    let Sweep {
        counts: mut swept,
        by_rules,
    } = sweep(registry, deleted, options, format == Format::Json).await?;
    swept.uploads += (expired + cleared.files) as u64;
    let leftovers = Leftovers::find(registry, &retention).await?;
    match format {
        Format::Json => json::print(&as_json(&swept, &by_rules, &leftovers))?,
        Format::Text => {
            output::say(&sentence(&swept))?;
            by_rules
                .iter()
                .try_for_each(|removed| output::say(&rule_sentence(removed)))?;
            leftovers.say()?;
        }
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
    deleted: Option<DeletedContent>,
    sweep: SweepOptions,
    is_quiet: bool,
) -> Result<Sweep, Error> {
    let bar = Bar::of_collection().filter(|_| !is_quiet);
    let mut update = |progress: &Progress| {
        if let Some(bar) = &bar {
            bar.update(progress);
        }
    };
    let watcher: Watcher<'_> = match bar.is_some() {
        true => Some(&mut update),
        false => None,
    };
    Ok(match deleted {
        Some(content) => {
            registry
                .gc()
                .collect_deleted(content, sweep, watcher)
                .await?
        }
        None => registry.gc().sweep(sweep, watcher).await?,
    })
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

/// Says which tags a rule has removed, and how they come back.
fn rule_sentence(removed: &RemovedByRule) -> String {
    let RemovedByRule {
        repository,
        policy,
        rule,
        tags,
        names,
    } = removed;
    format!(
        "rule '{rule}' of policy '{policy}' removed {} of {repository}: {}; registry restore {repository}:TAG brings one back",
        count(*tags, "tag"),
        named_and_more(names, *tags - names.len() as u64)
    )
}

fn as_json(swept: &SweepCounts, by_rules: &[RemovedByRule], leftovers: &Leftovers) -> Value {
    let rules: Vec<_> = by_rules
        .iter()
        .map(|removed| {
            json!({
                "repository": removed.repository, "policy": removed.policy, "rule": removed.rule,
                "tagCount": removed.tags, "tags": removed.names,
            })
        })
        .collect();
    json!({
        "tagCount": swept.tags, "manifestCount": swept.manifests, "blobCount": swept.blobs, "uploadCount": swept.uploads,
        "fileCount": swept.files, "size": swept.bytes, "undoEndedCount": swept.trash, "failureCount": swept.failures,
        "rules": rules,
        "waiting": leftovers.waiting_json(), "uploads": leftovers.uploads_json(),
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
