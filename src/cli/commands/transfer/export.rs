//! `registry export`.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tarkeep::export::{
    self, AbsentChild, Amount, ChosenImage, Companions, Destination, EarlierExport, EntryKind,
    ExportOptions, LoadableBy, Plan, PlannedEntry,
};
use tarkeep::oci::{PlatformName, TagName};
use tarkeep::registry::Registry;

use crate::cli::error::Error;
use crate::cli::from_config::log;
use crate::cli::server::signals::Signals;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format, Output, written};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::reference::Reference;
use crate::cli::terminal::removed;
use crate::cli::terminal::values::{count, size};

/// Write images to a directory, an archive or standard output, for machines without network; a server may be running
///
/// The result is an OCI image layout, with indexes, signatures and other referrers. skopeo, podman, ctr and registry import
/// read it, and with --docker docker load does (docs/export.md).
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Images; a whole repository means all of its tags, and repository and tag may be quoted globs: 'team/*:v1.*'
    #[arg(required = true, value_name = "REPOSITORY[:TAG|@DIGEST]")]
    references: Vec<String>,
    /// A new directory, a file that ends in .tar, or - for an archive on standard output; an earlier export is replaced
    #[arg(value_name = "DESTINATION")]
    destination: String,
    /// Take only this platform's image out of each index
    #[arg(long, value_name = "OS/ARCHITECTURE[/VARIANT]")]
    platform: Option<String>,
    /// Leave out what an earlier export holds; for several of them, repeat the flag
    #[arg(long, value_name = "EXPORT")]
    since: Vec<PathBuf>,
    /// Leave out signatures and other referrers
    #[arg(long)]
    no_referrers: bool,
    /// Add what docker load needs; each image for one platform, without referrers
    #[arg(long)]
    docker: bool,
    /// Only show what would be exported
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

/// Facts of an export once it is planned.
struct Report {
    destination: Destination,
    entries: Vec<PlannedEntry>,
    absent: Vec<AbsentChild>,
    written: Amount,
    held: Amount,
    is_dry_run: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        references,
        destination,
        platform,
        since,
        no_referrers,
        docker,
        dry_run,
        store,
        output: Output { format },
    } = arguments;
    log::start_quiet()?;
    let destination = Destination::parse(&destination)?;
    if destination == Destination::StandardOutput && stdout().is_terminal() && !dry_run {
        return Err(Error::Other(
            "standard output is a terminal, which cannot show an archive: redirect it, or name a file"
                .to_owned(),
        ));
    }
    let named = |text: String| PlatformName::parse(&text).ok_or(export::Error::Platform(text));
    let platform = platform.map(named).transpose()?;
    let references = parsed(&references)?;
    let earlier = earlier(&since, &destination)?;
    let (registry, _) = store.open_with_rules().await?;
    destination.check_outside(&registry.backups().root())?;
    let _lock = registry.export().lock()?;
    let images = chosen(&registry, references).await?;
    let options = ExportOptions {
        platform,
        companions: if no_referrers || docker {
            Companions::Leave
        } else {
            Companions::Include
        },
        loadable_by: if docker {
            LoadableBy::Docker
        } else {
            LoadableBy::Layouts
        },
    };
    let mut plan = Plan::of(&registry, images, &options).await?;
    earlier.iter().for_each(|export| plan.leave_out(export));
    let report = Report {
        entries: plan.entries().cloned().collect(),
        absent: plan.absent.clone(),
        written: plan.amount(),
        held: plan.held,
        is_dry_run: dry_run,
        destination,
    };
    if !dry_run {
        write(&registry, plan, &report, format).await?;
    }
    report.print(format)?;
    report.outcome(format)
}

fn parsed(references: &[String]) -> Result<Vec<Reference>, Error> {
    references
        .iter()
        .map(|text| Reference::parse(text))
        .collect()
}

/// Reads earlier exports, none of which may be what is written.
fn earlier(since: &[PathBuf], destination: &Destination) -> Result<Vec<EarlierExport>, Error> {
    let target = destination.path().and_then(|path| path.canonicalize().ok());
    let read = |path: &PathBuf| {
        if target.is_some() && target == path.canonicalize().ok() {
            return Err(Error::Other(format!(
                "{destination} would be replaced by what is new since {destination}: name another destination"
            )));
        }
        Ok(EarlierExport::read(path)?)
    };
    since.iter().map(read).collect()
}

async fn chosen(
    registry: &Registry,
    references: Vec<Reference>,
) -> Result<Vec<ChosenImage>, Error> {
    let mut images = Vec::new();
    for reference in references {
        let named = reference.resolve(registry, "export").await?;
        for row in removed::explained(registry, named.images(registry).await).await? {
            images.push(ChosenImage {
                repository: row.repository,
                tag: row.tag.and_then(|tag| TagName::parse(&tag).ok()),
                digest: row.digest,
            });
        }
    }
    Ok(images)
}

/// Writes the plan, with a progress bar on a terminal; a signal ends it, and nothing is left.
async fn write(
    registry: &Registry,
    plan: Plan,
    report: &Report,
    format: Format,
) -> Result<(), Error> {
    let bar = Bar::of_export(report.written.size).filter(|_| format == Format::Text);
    let watcher: export::Watcher = Arc::new(move |bytes| {
        if let Some(bar) = &bar {
            bar.advance(bytes);
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let writing = export::write(
        registry,
        plan,
        &report.destination,
        watcher,
        Arc::clone(&stop),
    );
    // nothing is left of an archive on standard output, and its reader may never take another byte
    if report.destination == Destination::StandardOutput {
        return Ok(writing.await?);
    }
    // before the first byte is written: a signal that nobody awaits ends the process at once
    let mut signals = Signals::listen()?;
    tokio::pin!(writing);
    tokio::select! {
        done = &mut writing => return Ok(done?),
        _ = signals.next() => {}
    }
    stop.store(true, Ordering::Relaxed);
    Ok(writing.await?)
}

impl Report {
    /// Prints the report: to standard error if standard output is the destination.
    fn print(&self, format: Format) -> Result<(), Error> {
        let to_stderr = self.destination == Destination::StandardOutput;
        match format {
            Format::Json if to_stderr => {
                let text = json::text(&self.as_json());
                written(stderr().write_all(text.as_bytes()))
            }
            Format::Json => json::print(&self.as_json()),
            Format::Text if to_stderr => {
                output::complain(&self.sentence());
                Ok(())
            }
            Format::Text => output::say(&self.sentence()),
        }
    }

    fn number(&self, kind: EntryKind) -> u64 {
        self.entries
            .iter()
            .filter(|entry| entry.kind == kind)
            .count() as u64
    }

    fn sentence(&self) -> String {
        let images = count(self.number(EntryKind::Image), "image");
        let companions = self.number(EntryKind::Signature) + self.number(EntryKind::Referrer);
        let companions = match companions {
            0 => String::new(),
            1 => " and 1 signature or other referrer".to_owned(),
            several => format!(" and {several} signatures and other referrers"),
        };
        let verb = if self.is_dry_run {
            "would export"
        } else {
            "exported"
        };
        let mut sentence = format!(
            "{verb} {images}{companions} to {}: {} and {} with {}",
            self.destination,
            count(self.written.manifests, "manifest"),
            count(self.written.blobs, "blob"),
            size(self.written.size),
        );
        if self.held != Amount::default() {
            sentence += &format!(
                "; the earlier export holds the other {} and {} with {}",
                count(self.held.manifests, "manifest"),
                count(self.held.blobs, "blob"),
                size(self.held.size),
            );
        }
        sentence
    }

    fn as_json(&self) -> Value {
        let entries = self.entries.iter().map(|entry| {
            json!({
                "kind": match entry.kind {
                    EntryKind::Image => "image",
                    EntryKind::Signature => "signature",
                    EntryKind::Referrer => "referrer",
                },
                "repository": entry.repository.as_str(),
                "tag": entry.tag.as_ref().map(TagName::as_str),
                "digest": entry.digest.as_str(),
                "mediaType": entry.media_type,
                "artifactType": entry.artifact_type,
            })
        });
        let absent = self
            .absent
            .iter()
            .map(|absent| json!({ "imageName": absent.image, "digest": absent.digest.as_str() }));
        let amount = |amount: &Amount| json!({ "manifestCount": amount.manifests, "blobCount": amount.blobs, "size": amount.size });
        json!({
            "destination": self.destination.path().map_or("-".into(), |path| path.to_string_lossy()),
            "dryRun": self.is_dry_run,
            "items": entries.collect::<Vec<_>>(),
            "written": amount(&self.written),
            "held": amount(&self.held),
            "absent": absent.collect::<Vec<_>>(),
        })
    }

    /// Fails if something was left out because it is not stored; the object has said so already.
    fn outcome(&self, format: Format) -> Result<(), Error> {
        if self.absent.is_empty() {
            return Ok(());
        }
        if format == Format::Json {
            return Err(Error::LeftOut(String::new()));
        }
        let lines: Vec<_> = self
            .absent
            .iter()
            .map(|absent| {
                format!(
                    "{} of {} is not stored, and was left out",
                    absent.digest, absent.image
                )
            })
            .collect();
        Err(Error::LeftOut(lines.join("\n")))
    }
}
