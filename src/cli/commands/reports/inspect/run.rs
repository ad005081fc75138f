//! Finding an image and everything about it.

use tarkeep::report;

use crate::cli::commands::reports::inspect::text;
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
    let report = report::image(&registry, &name, &reference).await;
    let report = removed::explained(&registry, report.map_err(Error::from)).await?;
    match format {
        Format::Json => json::print(&report.as_json()),
        Format::Text => text::print(&report),
    }
}
