//! `registry verify`.

use serde_json::{Value, json};
use tarkeep::registry::{AffectedImage, Finding, Treatment, Verification};

use crate::cli::error::Error;
use crate::cli::from_config::log;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::values::{count, plain, size};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only report: damaged blobs go on being served
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        dry_run,
        store,
        output: Output { format },
    } = arguments;
    log::start_quiet()?;
    let registry = store.open().await?;
    let treatment = if dry_run {
        Treatment::ReportOnly
    } else {
        Treatment::Withdraw
    };
    let verified = registry.verify().run(treatment).await?;
    match format {
        Format::Json => json::print(&as_json(&verified))?,
        Format::Text => print(&verified)?,
    }
    if verified.findings.is_empty() {
        Ok(())
    } else {
        Err(Error::Reported)
    }
}

fn print(verified: &Verification) -> Result<(), Error> {
    let lines: String = verified.findings.iter().map(text).collect();
    output::print(&lines)?;
    let damaged = match verified.findings.len() as u64 {
        0 => "no damage".to_owned(),
        number => format!("{number} damaged"),
    };
    output::say(&format!(
        "verified {} with {} and {}: {damaged}",
        count(verified.blobs, "blob"),
        size(verified.size),
        count(verified.manifests, "manifest"),
    ))
}

fn text(finding: &Finding) -> String {
    let subject = match &finding.digest {
        Some(digest) => format!("{} {digest}", finding.kind.as_str()),
        None => finding.kind.as_str().to_owned(),
    };
    let images: String = finding.images.iter().map(affected).collect();
    format!("{subject}: {}\n{images}", plain(&finding.problem))
}

fn affected(image: &AffectedImage) -> String {
    let names: String = if image.tags.is_empty() {
        format!("{}@{}", image.repository, image.digest)
    } else {
        let tags = image.tags.iter();
        let names: Vec<_> = tags
            .map(|tag| format!("{}:{tag}", image.repository))
            .collect();
        names.join(", ")
    };
    format!("  needed by {names}\n")
}

fn as_json(verified: &Verification) -> Value {
    let findings = verified.findings.iter().map(|finding| {
        let images = finding.images.iter().map(|image| {
            json!({ "repository": image.repository, "digest": image.digest.as_str(), "tags": image.tags })
        });
        json!({
            "kind": finding.kind.as_str(),
            "digest": finding.digest.as_ref().map(|digest| digest.as_str()),
            "problem": finding.problem,
            "images": images.collect::<Vec<_>>(),
        })
    });
    json!({
        "blobCount": verified.blobs, "size": verified.size, "manifestCount": verified.manifests,
        "findings": findings.collect::<Vec<_>>(),
    })
}
