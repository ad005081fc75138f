//! Finding an image and everything about it.

use serde_json::json;
use tarkeep::remote::Remote;
use tarkeep::report::{self, ImageItem};

use crate::cli::commands::reports::inspect::text;
use crate::cli::error::Error;
use crate::cli::place::{Place, failed};
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
    let reference = Reference::parse(&reference)?;
    let image = match place.server()? {
        Some(remote) => elsewhere(&remote, reference).await?,
        None => local(place.store, reference).await?,
    };
    match format {
        Format::Json => json::print(&json!(image)),
        Format::Text => text::print(&image),
    }
}

async fn local(store: Store, reference: Reference) -> Result<ImageItem, Error> {
    let registry = store.open().await?;
    let named = reference.resolve(&registry, "inspect").await?;
    let (name, reference) = named.manifest(&registry, "inspect").await?;
    let report = report::image(&registry, &name, &reference).await;
    let report = removed::explained(&registry, report.map_err(Error::from)).await?;
    Ok(report.item())
}

async fn elsewhere(remote: &Remote, reference: Reference) -> Result<ImageItem, Error> {
    let named = reference.elsewhere("inspect")?;
    let (name, reference) = named.manifest_elsewhere(remote, "inspect").await?;
    let path = format!("manifests/{name}/{reference}");
    Ok(remote.get(&path, &[]).await.map_err(failed)?.body)
}
