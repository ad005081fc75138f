//! `registry why`: the references and rules that keep a blob or a manifest.

use std::fmt::Write as _;

use serde_json::json;
use tarkeep::oci::{Digest, RepositoryName};
use tarkeep::registry::{ManifestReference, Registry, now};
use tarkeep::remote::Remote;
use tarkeep::report::{self, ChainItem, EndItem, HoldItem, ImageItem, Time, Viewer, WhyItem};

use crate::cli::error::Error;
use crate::cli::place::{Place, failed};
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::output::{self, Format, Output, Screen, wrapped};
use crate::cli::terminal::reference::{self, Names, Part, Reference};
use crate::cli::terminal::removed;
use crate::cli::terminal::values::{self, plain, size, time};

#[derive(clap::Args)]
#[command(after_help = keys::WHY)]
pub(crate) struct Arguments {
    /// Tag, manifest, or digest of a blob or manifest in any repository; digests may be shortened
    #[arg(value_name = "DIGEST|REPOSITORY:TAG|REPOSITORY@DIGEST")]
    reference: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        place,
        output: Output { format },
    } = arguments;
    let parsed = Reference::parse(&reference)?;
    let why = match place.server()? {
        Some(remote) => elsewhere(&remote, parsed).await?,
        None => local(place.store, parsed).await?,
    };
    match format {
        Format::Json => json::print(&json!(why)),
        Format::Text => output::print(&wrapped(&as_text(&why), Screen::of_stdout())),
    }
}

async fn local(store: Store, reference: Reference) -> Result<WhyItem, Error> {
    let registry = store.open().await?;
    let digest = removed::explained(&registry, digest(&registry, reference).await).await?;
    let owner = Viewer::owner();
    if let Some(report) = report::why(&registry, &digest, &owner).await? {
        return Ok(report.item(&owner));
    }
    Err(Error::Other(
        match registry.trash().undo_end_of(&digest).await? {
            Some((repository, end)) => {
                format!("{digest} was deleted from {repository}, and its undo ended on {end}")
            }
            None => format!("{digest} is unknown: it was never pushed, or is permanently removed"),
        },
    ))
}

async fn elsewhere(remote: &Remote, reference: Reference) -> Result<WhyItem, Error> {
    let digest = match reference.digest_alone() {
        Some(text) => Digest::parse(text).map_err(|_| {
            Error::Other(format!(
                "'{text}' is shortened: a server is asked about a whole digest, REPOSITORY@DIGEST or REPOSITORY:TAG"
            ))
        })?,
        None => {
            let named = reference.elsewhere("why")?;
            if let (Names::One(name), Part::Whole) = (&named.repositories, &named.part) {
                return Err(is_repository(name));
            }
            let (name, reference) = named.manifest_elsewhere(remote, "why").await?;
            match reference {
                ManifestReference::Digest(digest) => digest,
                ManifestReference::Tag(tag) => {
                    let path = format!("manifests/{name}/{tag}");
                    let image = remote.get::<ImageItem>(&path, &[]).await.map_err(failed)?;
                    Digest::parse(&image.body.digest)
                        .map_err(|error| Error::Other(error.to_string()))?
                }
            }
        }
    };
    let path = format!("why/{digest}");
    Ok(remote.get(&path, &[]).await.map_err(failed)?.body)
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
        (repository, Part::Whole) => Err(is_repository(&repository)),
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

fn is_repository(name: &RepositoryName) -> Error {
    Error::Other(format!(
        "registry why takes a tag or a digest, and '{name}' is a repository: registry ls {name} lists its tags"
    ))
}

fn what(why: &WhyItem) -> &'static str {
    let is = |kind: &str| why.kinds.iter().any(|one| one == kind);
    match (is("blob"), is("manifest")) {
        (true, true) => "blob and manifest",
        (true, false) => "blob",
        (false, true) => "manifest",
        (false, false) if !why.damage.is_empty() => "damaged blob",
        (false, false) if why.awaits_removal => "removed blob",
        (false, false) => "deleted manifest",
    }
}

fn as_text(why: &WhyItem) -> String {
    let digest = &why.digest;
    let bytes = why.size.map(|bytes| format!(" of {}", size(bytes)));
    let mut text = format!("{digest} is a {}{}\n", what(why), bytes.unwrap_or_default());
    text += &damage_text(why);
    for chain in &why.chains {
        let _ = writeln!(text, "  {}", plain(&line(chain, why.size.is_some())));
    }
    if why.more_count > 0 || !why.more_is_exact {
        let least = if why.more_is_exact { "" } else { "at least " };
        let _ = writeln!(text, "  and {least}{} more", why.more_count);
    }
    for removal in &why.removals {
        let what = match &removal.repository {
            Some(name) => format!("the manifest of {name}"),
            None => "the blob".to_owned(),
        };
        let when = when(removal.at, why.collects);
        let _ = writeln!(text, "{what} is removed {when}: {}", removal.reason);
    }
    for row in &why.restorable {
        let (repository, deleted) = (&row.repository, time(row.deleted.0));
        let by = values::named(row.who.name.as_deref(), row.who.address.as_deref());
        let (by, until) = (plain(&by), time(row.until.0));
        let _ = writeln!(
            text,
            "deleted from {repository} at {deleted} by {by}; until {until}, registry restore {repository}@{digest} restores it",
        );
    }
    let has_chains = !why.chains.is_empty();
    if why.awaits_removal {
        text += "its file is removed with the next collection\n";
    } else if !has_chains && !why.more_is_exact {
        text += "it is kept by references deeper than this command follows\n";
    } else if why.size.is_some() && !has_chains && why.removals.is_empty() {
        text += "nothing keeps it\n";
    }
    text
}

fn damage_text(why: &WhyItem) -> String {
    let mut text = String::new();
    for piece in &why.damage {
        let part = match piece.digest == why.digest {
            true => "it".to_owned(),
            false => format!("its part {}", piece.digest),
        };
        let _ = writeln!(
            text,
            "{part} is damaged, and not served until it is pushed again: {}",
            plain(&piece.reason)
        );
    }
    for image in &why.damaged_images {
        let _ = writeln!(text, "  needed by {}", plain(image));
    }
    text
}

fn when(Time(at): Time, collects: bool) -> String {
    match (at <= now(), collects) {
        (true, true) => "with the next collection".to_owned(),
        (true, false) => "with the next registry gc".to_owned(),
        (false, true) => format!("at {}", time(at)),
        (false, false) => format!("with the first registry gc after {}", time(at)),
    }
}

/// Formats a chain: `<- manifest … of team/app <- index … <- tag team/app:v1` for a blob, and its rest for a manifest.
fn line(chain: &ChainItem, is_blob: bool) -> String {
    let repository = &chain.repository;
    let mut parts = Vec::new();
    for (number, step) in chain.steps.iter().enumerate() {
        parts.push(match (number, is_blob) {
            (0, true) => format!("manifest {} of {repository}", step.digest),
            // the manifest itself
            (0, false) => format!("in {repository}"),
            _ => format!("{} {}", step.kind, step.digest),
        });
    }
    if let (Some(upstream), Some(first)) = (&chain.upstream, parts.first_mut()) {
        *first += &format!(", cached from {upstream}");
    }
    parts.push(end(repository, &chain.end));
    let text = parts.join(" <- ");
    if is_blob { format!("<- {text}") } else { text }
}

fn end(repository: &str, end: &EndItem) -> String {
    let reason = end.reason.as_deref().unwrap_or_default();
    match (&*end.kind, end.until) {
        ("untagged", Some(Time(until))) => format!("nothing, until {}: {reason}", time(until)),
        ("untagged", None) => format!("a rule: {reason}"),
        ("lease", until) => format!(
            "a lease in {repository} until {}: no manifest there references it",
            until.map(|Time(until)| time(until)).unwrap_or_default()
        ),
        _ => {
            let tags = end.tags.iter().map(|tag| tag_with_rule(repository, tag));
            let tags: Vec<_> = tags.collect();
            let more = match end.more_count {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("tag {}{more}", tags.join(", "))
        }
    }
}

fn tag_with_rule(repository: &str, tag: &HoldItem) -> String {
    let rule = tag.decision.as_ref().map(|decision| {
        let verdict = match decision.kept {
            true => "kept",
            false => "to be removed",
        };
        let until = decision.until.map(|Time(until)| time(until));
        let until = until.map(|until| format!(" until {until}"));
        let (until, reason) = (until.unwrap_or_default(), &decision.reason);
        format!(" ({verdict}{until}: {reason})")
    });
    let gone = tag.gone_since;
    let gone = gone.map(|Time(since)| format!(" (gone upstream since {})", time(since)));
    let (gone, rule) = (gone.unwrap_or_default(), rule.unwrap_or_default());
    format!("{repository}:{}{gone}{rule}", tag.tag)
}
