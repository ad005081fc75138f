//! `registry upstream keep`.

use serde_json::json;
use tarkeep::oci::Digest;
use tarkeep::registry::{self, Gaps, Promotion, RepositorySource};

use super::arguments::KeepArguments;
use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::reference::Reference;
use crate::cli::terminal::removed;

pub(super) async fn run(arguments: KeepArguments) -> Result<(), Error> {
    let source = Reference::parse(&arguments.source)?;
    let target = Reference::parse(&arguments.target)?;
    let registry = arguments.store.open().await?;
    let source = source.resolve(&registry, "upstream keep").await?;
    let (from, reference) = source.manifest(&registry, "upstream keep").await?;
    if let Some(RepositorySource::Own) = registry.repositories().source(&from).await? {
        return Err(Error::Other(format!(
            "{from} is your own already: registry tag gives its images other names"
        )));
    }
    let target = target.resolve(&registry, "upstream keep").await?;
    let (repository, tag) = target.tag("upstream keep")?;
    let (tags, who) = (registry.tags(), actor::local_user());
    let kept = tags.promote(&from, &reference, &repository, &tag, Gaps::Accepted, who);
    let kept = match kept.await {
        Err(registry::Error::NameUnknown(_) | registry::Error::ManifestUnknown { .. }) => {
            return Err(Error::Other(format!(
                "{} is not cached: pull it through here first",
                arguments.source
            )));
        }
        kept => kept.map_err(Error::from),
    };
    let Promotion {
        was,
        digest,
        missing,
    } = removed::explained(&registry, kept).await?;
    match arguments.output.format {
        Format::Json => json::print(&json!({
            "repository": repository.as_str(),
            "tag": tag.as_str(),
            "digest": digest.as_str(),
            "was": was.as_ref().map(Digest::as_str),
            "missingCount": missing,
        })),
        Format::Text => output::say(&format!(
            "{repository}:{tag} is {digest}, and your own{}",
            match missing {
                0 => String::new(),
                missing => format!(
                    "; {missing} of its manifests and blobs were never pulled through here, and did not come along"
                ),
            }
        )),
    }
}
