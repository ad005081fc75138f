//! `registry upstream keep`.

use serde_json::json;
use tarkeep::oci::Digest;
use tarkeep::registry::{self, Promotion, Purpose, RepositorySource};

use super::arguments::KeepArguments;
use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::reference::Reference;
use crate::cli::terminal::removed;
use crate::cli::terminal::values;

/// Maximum number of things that are named.
const NAMED: usize = 10;

pub(super) async fn run(arguments: KeepArguments) -> Result<(), Error> {
    let source = Reference::parse(&arguments.source)?;
    let target = Reference::parse(&arguments.target)?;
    let registry = arguments.store.open().await?;
    let source = source.resolve(&registry, "upstream keep").await?;
    let said = source.text.clone();
    let (from, reference) = source.manifest(&registry, "upstream keep").await?;
    if let Some(RepositorySource::Own) = registry.repositories().source(&from).await? {
        return Err(Error::Other(format!(
            "{from} is your own already: registry tag gives its images other names"
        )));
    }
    let target = target.resolve(&registry, "upstream keep").await?;
    let (repository, tag) = target.tag("upstream keep")?;
    let (tags, who) = (registry.tags(), actor::local_user());
    let kept = tags.promote(&from, &reference, &repository, &tag, Purpose::Keep, who);
    let kept = kept.await.map_err(|error| refused(error, &said));
    let Promotion {
        was,
        digest,
        missing,
    } = removed::explained(&registry, kept).await?;
    let names = missing.iter().map(|child| match &child.platform {
        Some(platform) => platform.clone(),
        None => child.digest.to_string(),
    });
    let names: Vec<_> = names.collect();
    match arguments.output.format {
        Format::Json => json::print(&json!({
            "repository": repository.as_str(),
            "tag": tag.as_str(),
            "digest": digest.as_str(),
            "was": was.as_ref().map(Digest::as_str),
            "missingCount": names.len(),
            "missing": names,
        })),
        Format::Text => output::say(&format!(
            "{repository}:{tag} is {digest}, and your own{}",
            match names.is_empty() {
                true => String::new(),
                false => format!(
                    "; what was never pulled through here did not come along: {}",
                    values::few(names, NAMED)
                ),
            }
        )),
    }
}

/// Says what is to be done so that an image can be kept.
fn refused(error: registry::Error, source: &str) -> Error {
    match error {
        registry::Error::ReferencesUnknown { digests, .. } => Error::Other(format!(
            "{source} was never pulled through here as a whole, and nobody could pull what is kept of it: {} missing; pull {source} from here once, then keep it",
            match digests.len() {
                1 => format!("{} is", values::few(digests, NAMED)),
                _ => format!("{} are", values::few(digests, NAMED)),
            }
        )),
        registry::Error::TagDenied {
            repository, tag, ..
        } => Error::Other(format!(
            "{repository}:{tag} is your own already, and another image: keep {source} under another tag, which registry tag may give that name"
        )),
        registry::Error::NameUnknown(_) | registry::Error::ManifestUnknown { .. } => Error::Other(
            format!("{source} is not cached: pull it through here first"),
        ),
        error => error.into(),
    }
}
