//! `registry upstream keep`.

use serde_json::json;
use tarkeep::registry;
use tarkeep::report::{self, KeepError, KeptItem};

use super::arguments::KeepArguments;
use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::place::failed;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::reference::Reference;
use crate::cli::terminal::reference::elsewhere::image;
use crate::cli::terminal::removed;
use crate::cli::terminal::values;

/// Maximum number of things that are named.
const NAMED: usize = 10;

pub(super) async fn run(arguments: KeepArguments) -> Result<(), Error> {
    let source = Reference::parse(&arguments.source)?;
    let target = Reference::parse(&arguments.target)?;
    let kept = match arguments.place.server()? {
        Some(remote) => {
            let source = source.elsewhere("upstream keep")?;
            let (from, reference) = source.manifest_elsewhere(&remote, "upstream keep").await?;
            let (name, tag) = target.elsewhere("upstream keep")?.tag("upstream keep")?;
            let body = json!({ "source": image(&from, &reference) });
            let kept = remote.post(&format!("kept/{name}/{tag}"), &[], &body).await;
            kept.map_err(failed)?
        }
        None => here(arguments.place.store, source, target).await?,
    };
    show(&kept, arguments.output.format)
}

async fn here(store: Store, source: Reference, target: Reference) -> Result<KeptItem, Error> {
    let registry = store.open().await?;
    let source = source.resolve(&registry, "upstream keep").await?;
    let said = source.text.clone();
    let (from, reference) = source.manifest(&registry, "upstream keep").await?;
    let target = target.resolve(&registry, "upstream keep").await?;
    let (repository, tag) = target.tag("upstream keep")?;
    let who = actor::local_user();
    let kept = report::keep(&registry, (&from, &reference), (&repository, &tag), who).await;
    let kept = kept.map_err(|error| match error {
        KeepError::Own(_) => Error::Other(error.to_string()),
        KeepError::Registry(error) => refused(error, &said),
    });
    removed::explained(&registry, kept).await
}

fn show(kept: &KeptItem, format: Format) -> Result<(), Error> {
    let KeptItem {
        promoted, missing, ..
    } = kept;
    match format {
        Format::Json => json::print(&json!(kept)),
        Format::Text => output::say(&format!(
            "{}:{} is {}, and your own{}",
            promoted.repository,
            promoted.tag,
            promoted.digest,
            match missing.is_empty() {
                true => String::new(),
                false => format!(
                    "; what was never pulled through here did not come along: {}",
                    values::few(missing.clone(), NAMED)
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
