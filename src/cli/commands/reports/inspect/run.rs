//! Finding an image and everything about it.

use tarkeep::oci::{Referrer, RepositoryName};
use tarkeep::registry::{ImageDescription, Registry};

use crate::cli::commands::reports::inspect::{object, text};
use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{Format, Output};
use crate::cli::terminal::reference::Reference;
use crate::cli::terminal::removed;

/// Show an image: how it is run, its layers, tags, platforms, signatures and other referrers
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Image; the digest may be shortened [default tag: latest]
    #[arg(value_name = "REPOSITORY[:TAG|@DIGEST]")]
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
    let reference = Reference::parse(&reference)?;
    let registry = store.open().await?;
    let named = reference.resolve(&registry, "inspect").await?;
    let (name, reference) = named.manifest(&registry, "inspect").await?;
    let description = registry.manifests().describe(&name, &reference).await;
    let description = removed::explained(&registry, description.map_err(Error::from)).await?;
    let referrers = referrers(&registry, &name, &description).await?;
    let digest = &description.summary.digest;
    let damage = registry.reports().damage_within(&name, digest).await?;
    match format {
        Format::Json => json::print(&object::of(&name, &description, &referrers, &damage)),
        Format::Text => text::print(&name, &description, &referrers, &damage),
    }
}

async fn referrers(
    registry: &Registry,
    name: &RepositoryName,
    description: &ImageDescription,
) -> Result<Vec<Referrer>, Error> {
    let mut found = Vec::new();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry
            .manifests()
            .referrers(name, &description.summary.digest, None, last)
            .await?;
        found.extend(page.items);
        after = page.next;
    }
    Ok(found)
}
