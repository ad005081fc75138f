//! `registry verify`.

use std::io::{BufWriter, Stdout, stdout};
use std::num::NonZeroU64;

use serde_json::{Value, json};
use tarkeep::oci::RepositoryName;
use tarkeep::registry::{
    AffectedImage, Finding, Outcome, Pace, Registry, Runner, Treatment, Verification, VerifyEvent,
    VerifyOptions,
};

use crate::cli::error::Error;
use crate::cli::from_config::log;
use crate::cli::store::Store;
use crate::cli::terminal::json::JsonObject;
use crate::cli::terminal::keys;
use crate::cli::terminal::listing::{self, nothing_matches};
use crate::cli::terminal::output::{self, Format, Output, written};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::reference::{Names, Part, Reference};
use crate::cli::terminal::values::{count, plain, size, time};

#[derive(clap::Args)]
#[command(after_help = keys::VERIFY)]
pub(crate) struct Arguments {
    /// Repositories, or quoted globs such as 'team/*' [default: everything that is stored, and the database]
    #[arg(value_name = "REPOSITORY")]
    repositories: Vec<String>,
    /// Only report: what is damaged goes on being served
    #[arg(long, conflicts_with = "repair")]
    dry_run: bool,
    /// Record wrong counts and references anew, and have garbage collection remove files that the database does not know
    #[arg(long)]
    repair: bool,
    /// Read at most this many MiB per second [default: half of the disk's time]
    #[arg(long, value_name = "MIB")]
    rate: Option<NonZeroU64>,
    /// Begin anew, even if the last run was cut off
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        repositories,
        dry_run,
        repair,
        rate,
        restart,
        store,
        output: Output { format },
    } = arguments;
    log::start_quiet()?;
    let registry = store.open().await?;
    let options = VerifyOptions {
        runner: Runner::Command,
        treatment: match (dry_run, repair) {
            (true, _) => Treatment::ReportOnly,
            (false, false) => Treatment::Withdraw,
            (false, true) => Treatment::Repair,
        },
        pace: rate.map_or(Pace::Half, Pace::MebibytesPerSecond),
        repositories: selected(&registry, &repositories).await?,
        is_anew: restart,
    };
    let is_repaired = options.treatment == Treatment::Repair;
    let mut report = Report::begin(format)?;
    let verified = registry
        .verify()
        .run(options, &mut |event| report.event(event))
        .await;
    report.end(&verified?, is_repaired)
}

/// Finds the named repositories; `None` if none is named.
async fn selected(
    registry: &Registry,
    texts: &[String],
) -> Result<Option<Vec<RepositoryName>>, Error> {
    if texts.is_empty() {
        return Ok(None);
    }
    let mut names = Vec::new();
    for text in texts {
        let named = Reference::parse(text)?.resolve(registry, "verify").await?;
        if !matches!(named.part, Part::Whole) {
            return Err(Error::Other(format!(
                "registry verify takes repositories, and '{text}' names a tag or digest: leave that away"
            )));
        }
        match named.repositories {
            Names::One(name) => {
                listing::check_listed(registry, &name).await?;
                names.push(name);
            }
            Names::Matching(glob) => {
                let matching = listing::repositories(registry, Some(&glob)).await?;
                if matching.is_empty() {
                    return Err(nothing_matches(text));
                }
                names.extend(matching);
            }
        }
    }
    Ok(Some(names))
}

/// Printer of what a verification tells, as it comes.
struct Report {
    /// `None` for text.
    json: Option<JsonObject<BufWriter<Stdout>>>,
    bar: Option<Bar>,
    /// The first failure to print.
    failure: Result<(), Error>,
}

impl Report {
    fn begin(format: Format) -> Result<Self, Error> {
        let mut json = (format == Format::Json).then(|| JsonObject::new(BufWriter::new(stdout())));
        if let Some(object) = &mut json {
            written(object.list("findings"))?;
        }
        Ok(Self {
            bar: Bar::of_verification().filter(|_| json.is_none()),
            json,
            failure: Ok(()),
        })
    }

    fn event(&mut self, event: VerifyEvent) {
        let printed = match event {
            VerifyEvent::Progress(progress) => {
                self.bar.iter().for_each(|bar| bar.show(&progress));
                Ok(())
            }
            VerifyEvent::Finding(finding) => match &mut self.json {
                Some(object) => written(object.item(&as_json(&finding))),
                None => self.above(&text(&finding)),
            },
            VerifyEvent::Resumed(run) if self.json.is_none() => self.above(&format!(
                "continuing the verification of {}, which was cut off after {} and found {} damaged\n",
                time(run.begun_at),
                size(run.size),
                run.damaged
            )),
            VerifyEvent::Resumed(_) => Ok(()),
        };
        if self.failure.is_ok() {
            self.failure = printed;
        }
    }

    fn above(&self, text: &str) -> Result<(), Error> {
        match &self.bar {
            Some(bar) => bar.above(|| output::print(text)),
            None => output::print(text),
        }
    }

    fn end(self, verified: &Verification, is_repaired: bool) -> Result<(), Error> {
        drop(self.bar);
        self.failure?;
        match self.json {
            Some(mut object) => {
                let fields = [
                    ("findingCount", verified.damaged),
                    ("incompleteCount", verified.incomplete),
                    ("blobCount", verified.blobs),
                    ("size", verified.size),
                    ("manifestCount", verified.manifests),
                    ("unknownFileCount", verified.unknown_files),
                    ("unknownFileSize", verified.unknown_size),
                ];
                for (key, value) in fields {
                    written(object.field(key, &Value::from(value)))?;
                }
                let foreign = Value::from(verified.foreign_files.clone());
                written(object.field("foreignFiles", &foreign))?;
                written(object.finish())?;
            }
            None => summary(verified, is_repaired)?,
        }
        match (verified.damaged, verified.incomplete) {
            (0, 0) => Ok(()),
            (0, number) => Err(Error::LeftOut(format!(
                "{} cannot be pulled as a whole: push or import what is named in the output again",
                count(number, "image")
            ))),
            _ => Err(Error::Reported),
        }
    }
}

fn summary(verified: &Verification, is_repaired: bool) -> Result<(), Error> {
    if verified.unknown_files > 0 {
        let remedy = match is_repaired {
            true => "garbage collection removes them after the grace period",
            false => "registry verify --repair has garbage collection remove them",
        };
        output::say(&format!(
            "{} with {} belong to no blob that the database knows, and do no harm: {remedy}",
            count(verified.unknown_files, "file"),
            size(verified.unknown_size)
        ))?;
    }
    for path in &verified.foreign_files {
        output::say(&format!(
            "{} is no blob, and does no harm: move it away",
            plain(path)
        ))?;
    }
    let damaged = match verified.damaged {
        0 => "no damage".to_owned(),
        number => format!("{number} damaged"),
    };
    output::say(&format!(
        "verified {} with {} and {}: {damaged}{}",
        count(verified.blobs, "blob"),
        size(verified.size),
        count(verified.manifests, "manifest"),
        match verified.incomplete {
            0 => String::new(),
            number => format!(", {number} incomplete"),
        },
    ))
}

fn text(finding: &Finding) -> String {
    let kind = finding.kind.as_str();
    let subject = match &finding.digest {
        Some(digest) => format!("{kind} {digest}"),
        None => kind.to_owned(),
    };
    let outcome = match finding.outcome {
        Outcome::Reported => "",
        Outcome::Withdrawn => "; not served until it is pushed again",
        Outcome::Repaired => "; repaired",
    };
    let mut text = format!("{subject}: {}{outcome}\n", plain(&finding.problem));
    for name in finding.image_names() {
        text += &format!("  needed by {name}\n");
    }
    let more = finding.image_count - finding.images.len() as u64;
    if more > 0 {
        text += &format!("  needed by {} more\n", count(more, "image"));
    }
    text
}

fn as_json(finding: &Finding) -> Value {
    let image = |image: &AffectedImage| json!({ "repository": image.repository, "digest": image.digest.as_str(), "tags": image.tags });
    json!({
        "kind": finding.kind.as_str(),
        "digest": finding.digest.as_ref().map(|digest| digest.as_str()),
        "problem": finding.problem,
        "outcome": finding.outcome.as_str(),
        "images": finding.images.iter().map(image).collect::<Vec<_>>(),
        "imageCount": finding.image_count,
    })
}
