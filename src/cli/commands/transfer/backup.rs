//! `registry backup`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tarkeep::backup::{self, BackupPlan, BackupProgress, BackupSummary, Destination};
use tarkeep::registry::{CopyPace, Registry};

use crate::cli::error::Error;
use crate::cli::from_config::log;
use crate::cli::store::Store;
use crate::cli::terminal::copy_bar::CopyBar;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::values::{count, plain, size};

/// Interval between two updates of the bar.
const TICK: Duration = Duration::from_millis(100);

/// Copy everything to a directory that a server can run on; a server may be running
#[derive(clap::Args)]
#[command(after_help = keys::BACKUP)]
pub(crate) struct Arguments {
    /// Directory of the backup
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    /// Only say what would be copied
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        destination,
        dry_run,
        store,
        output: Output { format },
    } = arguments;
    log::start_quiet()?;
    let registry = store.open().await?;
    let to = Destination::Directory(destination);
    if dry_run {
        let plan = backup::plan(&registry, &to).await?;
        warn_same_disk(to.path(), plan.is_same_disk);
        return print_plan(&plan, to.path(), format);
    }
    let made = make(&registry, &to, format == Format::Json).await?;
    warn_same_disk(to.path(), made.is_same_disk);
    print(&made, format)?;
    match (made.damaged.is_empty(), made.incomplete.count) {
        (true, 0) => Ok(()),
        (true, number) => Err(Error::LeftOut(format!(
            "the backup is complete, but {} cannot be pulled as a whole, here or from it: push or import what is named in the output \
             again, or delete it",
            count(number, "image")
        ))),
        (false, _) => Err(Error::LeftOut(
            "content is damaged, and named in the output: registry verify names its images, which heal when they are pushed again"
                .to_owned(),
        )),
    }
}

/// Makes the backup, with a progress bar if standard error is a terminal and `is_quiet` is false.
async fn make(
    registry: &Registry,
    to: &Destination,
    is_quiet: bool,
) -> Result<BackupSummary, Error> {
    let progress = BackupProgress::default();
    let work = backup::run(registry, to, CopyPace::Full, &progress);
    let Some(bar) = CopyBar::new().filter(|_| !is_quiet) else {
        return Ok(work.await?);
    };
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            made = &mut work => return Ok(made?),
            () = tokio::time::sleep(TICK) => {
                let (copied, expected) = progress.bytes();
                bar.update(copied, expected);
            }
        }
    }
}

fn warn_same_disk(to: &Path, is_same_disk: bool) {
    if is_same_disk {
        output::complain(&format!(
            "warning: {} is on the disk of the data directory: what is lost with that disk is lost in this backup too",
            to.display()
        ));
    }
}

fn print_plan(plan: &BackupPlan, to: &Path, format: Format) -> Result<(), Error> {
    match format {
        Format::Json => json::print(&json!({
            "directory": to.display().to_string(), "blobCount": plan.blobs, "size": plan.size,
            "newCount": plan.new_blobs, "newSize": plan.new_size, "isSameDisk": plan.is_same_disk,
        })),
        Format::Text => output::say(&format!(
            "would copy {} with {} of {} with {}, and the database",
            count(plan.new_blobs, "new blob"),
            size(plan.new_size),
            count(plan.blobs, "blob"),
            size(plan.size),
        )),
    }
}

fn print(made: &BackupSummary, format: Format) -> Result<(), Error> {
    match format {
        Format::Json => json::print(&as_json(made)),
        Format::Text => {
            for content in &made.damaged {
                output::say(&format!(
                    "{} {} {}: {}",
                    match content.is_kept {
                        true => "kept an earlier copy of the damaged",
                        false => "damaged",
                    },
                    content.kind.word(),
                    content.digest,
                    plain(&content.problem)
                ))?;
            }
            for image in &made.incomplete.named {
                let names = image.names().join(" ");
                output::say(&format!(
                    "incomplete {}: {}",
                    plain(&names),
                    plain(&image.problem)
                ))?;
            }
            output::say(&sentence(made))
        }
    }
}

fn sentence(made: &BackupSummary) -> String {
    let shared = match made.shared {
        0 => String::new(),
        shared => format!(", {} linked", count(shared, "blob")),
    };
    let damaged = match made.damaged.len() as u64 {
        0 => String::new(),
        damaged => format!("; {} damaged", count(damaged, "piece")),
    };
    let incomplete = match made.incomplete.count {
        0 => String::new(),
        incomplete => format!("; {} incomplete", count(incomplete, "image")),
    };
    format!(
        "backed up {} with {} to {} in {:.1} s: {} with {} copied{shared}, and the database with {}{damaged}{incomplete}",
        count(made.blobs, "blob"),
        size(made.size),
        made.directory.display(),
        made.took.as_secs_f64(),
        count(made.copied, "blob"),
        size(made.copied_size),
        size(made.database_size),
    )
}

fn as_json(made: &BackupSummary) -> Value {
    let damaged = made.damaged.iter();
    let damaged = damaged
        .map(|content| {
            json!({
                "kind": content.kind.word(), "digest": content.digest.as_str(),
                "problem": content.problem, "isKept": content.is_kept,
            })
        })
        .collect::<Vec<_>>();
    let incomplete = made.incomplete.named.iter();
    let incomplete = incomplete
        .map(|incomplete| {
            let image = &incomplete.image;
            json!({
                "images": [{ "repository": image.repository, "digest": image.digest.as_str(), "tags": image.tags }],
                "problem": incomplete.problem,
            })
        })
        .collect::<Vec<_>>();
    json!({
        "directory": made.directory.display().to_string(), "blobCount": made.blobs, "size": made.size,
        "copiedCount": made.copied, "copiedSize": made.copied_size, "linkedCount": made.shared,
        "databaseSize": made.database_size, "damaged": damaged, "incompleteCount": made.incomplete.count,
        "incomplete": incomplete, "isSameDisk": made.is_same_disk,
        "milliseconds": u64::try_from(made.took.as_millis()).unwrap_or(u64::MAX),
    })
}
