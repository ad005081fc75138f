//! `registry rm`.

use registry::registry::ManifestReference;
use serde_json::json;

use super::output::{self, Format};
use super::reference::Target;
use super::{Failure, Store, moment};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// What to remove: a tag (REPOSITORY:TAG), a manifest with its tags (REPOSITORY@DIGEST), or a whole REPOSITORY
    #[arg(value_name = "REPOSITORY[:TAG|@DIGEST]")]
    reference: String,
    #[command(flatten)]
    store: Store,
    /// Print a sentence, or JSON for scripts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let target = Target::parse(&arguments.reference)?;
    let registry = arguments.store.open()?;
    let name = &target.repository;
    let what = match &target.manifest {
        None => {
            registry.delete_repository(name, moment::local_user()).await?;
            format!("repository {name} with all its tags and manifests")
        }
        Some(reference) => {
            registry.delete_manifest(name, reference, moment::local_user()).await?;
            match reference {
                ManifestReference::Tag(tag) => format!("tag {tag} of {name}; its manifest stays, untagged"),
                ManifestReference::Digest(digest) => format!("manifest {digest} of {name} with its tags"),
            }
        }
    };
    output::print(
        match arguments.output {
            Format::Table => format!("removed {what}\n"),
            Format::Json => format!("{}\n", json!({ "removed": arguments.reference })),
        }
        .as_bytes(),
    )
}
