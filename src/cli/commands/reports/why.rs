//! `registry why`: the references and rules that keep a blob or a manifest.

use std::fmt::Write as _;

use tarkeep::oci::Digest;
use tarkeep::registry::{
    ChainEnd, Explanation, HolderChain, ManifestReference, Millis, Registry, Retention,
    TagDecision, TagHold, TrashRow, now,
};
use tarkeep::report::{self, Viewer, WhyReport};

use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::output::{self, Format, Output, Screen, wrapped};
use crate::cli::terminal::reference::{self, Names, Part, Reference};
use crate::cli::terminal::removed;
use crate::cli::terminal::values::{actor, plain, size, time};

#[derive(clap::Args)]
#[command(after_help = keys::WHY)]
pub(crate) struct Arguments {
    /// Tag, manifest, or digest of a blob or manifest in any repository; digests may be shortened
    #[arg(value_name = "DIGEST|REPOSITORY:TAG|REPOSITORY@DIGEST")]
    reference: String,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        store,
        output: Output { format },
    } = arguments;
    let parsed = Reference::parse(&reference)?;
    let registry = store.open().await?;
    let digest = removed::explained(&registry, digest(&registry, parsed).await).await?;
    let owner = Viewer::owner();
    let Some(report) = report::why(&registry, &digest, &owner).await? else {
        return Err(Error::Other(
            match registry.trash().undo_end_of(&digest).await? {
                Some((repository, end)) => {
                    format!("{digest} was deleted from {repository}, and its undo ended on {end}")
                }
                None => {
                    format!("{digest} is unknown: it was never pushed, or is permanently removed")
                }
            },
        ));
    };
    match format {
        Format::Json => json::print(&report.as_json(&owner)),
        Format::Text => output::print(&wrapped(&as_text(&report), Screen::of_stdout())),
    }
}

/// Finds the digest that is meant.
async fn digest(registry: &Registry, reference: Reference) -> Result<Digest, Error> {
    if let Some(prefix) = reference.digest_alone() {
        return reference::digest(registry, None, prefix).await;
    }
    let named = reference.resolve(registry, "why").await?;
    match named.one_repository("why")? {
        // also blobs, which have no repository of their own
        (_, Part::Digest(prefix)) => reference::digest(registry, None, &prefix).await,
        (repository, Part::Whole) => Err(Error::Other(format!(
            "registry why takes a tag or a digest, and '{repository}' is a repository: registry ls {repository} lists its tags"
        ))),
        (_, Part::Tags(Names::Matching(_))) => Err(Error::Other(
            "registry why takes one tag or digest".to_owned(),
        )),
        (repository, Part::Tags(Names::One(tag))) => {
            let tag = ManifestReference::Tag(tag);
            let manifest = registry.manifests().get(&repository, &tag).await?;
            Ok(manifest.digest.clone())
        }
    }
}

fn what(why: &Explanation) -> &'static str {
    match (why.blob, why.is_manifest) {
        (Some(_), true) => "blob and manifest",
        (Some(_), false) => "blob",
        (None, true) => "manifest",
        (None, false) if !why.damage.is_empty() => "damaged blob",
        (None, false) if why.is_removal => "removed blob",
        (None, false) => "deleted manifest",
    }
}

fn as_text(report: &WhyReport) -> String {
    let WhyReport {
        digest,
        why,
        retention,
    } = report;
    let bytes = why
        .blob
        .map(|bytes| format!(" of {}", size(bytes)))
        .unwrap_or_default();
    let mut text = format!("{digest} is a {}{bytes}\n", what(why));
    text += &damage_text(digest, why);
    for chain in &why.chains {
        let _ = writeln!(text, "  {}", plain(&line(chain, why.blob.is_some())));
    }
    if why.more > 0 || why.is_cut {
        let _ = writeln!(
            text,
            "  and {}{} more",
            if why.is_cut { "at least " } else { "" },
            why.more
        );
    }
    for removal in &why.removals {
        let what = removal
            .repository
            .as_ref()
            .map_or("the blob".to_owned(), |name| {
                format!("the manifest of {name}")
            });
        let _ = writeln!(
            text,
            "{what} is removed {}: {}",
            when(removal.at, retention),
            removal.why
        );
    }
    for row in &why.trash {
        let (
            TrashRow {
                repository,
                deleted_at,
                ..
            },
            by,
        ) = (row, plain(&actor(&row.deleted_by)));
        let until = time(report.restorable_until(row));
        let _ = writeln!(
            text,
            "deleted from {repository} at {} by {by}; until {until}, registry restore {repository}@{digest} restores it",
            time(*deleted_at)
        );
    }
    if why.is_removal {
        text += "its file is removed with the next collection\n";
    } else if why.chains.is_empty() && why.is_cut {
        text += "it is kept by references deeper than this command follows\n";
    } else if why.blob.is_some() && why.chains.is_empty() && why.removals.is_empty() {
        text += "nothing keeps it\n";
    }
    text
}

fn damage_text(digest: &Digest, why: &Explanation) -> String {
    let mut text = String::new();
    for piece in &why.damage {
        let part = match piece.digest == *digest {
            true => "it".to_owned(),
            false => format!("its part {}", piece.digest),
        };
        let _ = writeln!(
            text,
            "{part} is damaged, and not served until it is pushed again: {}",
            plain(&piece.damage)
        );
    }
    for image in &why.damaged_images {
        let _ = writeln!(text, "  needed by {}", plain(image));
    }
    text
}

fn when(at: Millis, retention: &Retention) -> String {
    match (at <= now(), retention.enabled) {
        (true, true) => "with the next collection".to_owned(),
        (true, false) => "with the next registry gc".to_owned(),
        (false, true) => format!("at {}", time(at)),
        (false, false) => format!("with the first registry gc after {}", time(at)),
    }
}

/// Formats a chain: `<- manifest … of team/app <- index … <- tag team/app:v1` for a blob, and its rest for a manifest.
fn line(chain: &HolderChain, is_blob: bool) -> String {
    let HolderChain {
        repository,
        steps,
        end,
    } = chain;
    let mut parts = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        parts.push(match (number, is_blob) {
            (0, true) => format!("manifest {} of {repository}", step.digest),
            // the manifest itself
            (0, false) => format!("in {repository}"),
            _ => format!("{} {}", step.kind.as_str(), step.digest),
        });
    }
    parts.push(match end {
        ChainEnd::Tags { tags, more } => {
            let tags: Vec<_> = tags
                .iter()
                .map(|tag| tag_with_rule(repository, tag))
                .collect();
            let more = if *more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!("tag {}{more}", tags.join(", "))
        }
        ChainEnd::Idle {
            until: Some(until),
            why,
        } => format!("nothing, until {}: {why}", time(*until)),
        ChainEnd::Idle { until: None, why } => format!("a rule: {why}"),
        ChainEnd::Lease { until } => format!(
            "a lease in {repository} until {}: no manifest there references it",
            time(*until)
        ),
    });
    let text = parts.join(" <- ");
    if is_blob { format!("<- {text}") } else { text }
}

fn tag_with_rule(repository: &str, tag: &TagHold) -> String {
    let rule = tag.decision.as_ref().map(
        |TagDecision {
             is_kept,
             reason,
             until,
             ..
         }| {
            let verdict = if *is_kept { "kept" } else { "to be removed" };
            let until = until
                .map(|until| format!(" until {}", time(until)))
                .unwrap_or_default();
            format!(" ({verdict}{until}: {reason})")
        },
    );
    format!("{repository}:{}{}", tag.name, rule.unwrap_or_default())
}
