//! `registry tag`: the history of a tag, and moving it back.

use std::io::{BufWriter, stdout};

use serde_json::{Value, json};
use tarkeep::oci::{Digest, RepositoryName, TagName};
use tarkeep::registry::{Actor, ManifestReference, Registry, RestoreTarget, TagState, now};

use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::output::{self, Format, JsonArray, Table, exact_time, written};
use crate::cli::terminal::reference::Target;
use crate::cli::terminal::time_arg;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show what a tag points at and pointed at before: since when, set by whom, and how that ended
    History(History),
    /// Move a tag back to an earlier manifest, even if that was deleted meanwhile
    Restore(RestoreArguments),
}

#[derive(clap::Args)]
struct History {
    /// Tag, existing or removed
    #[arg(value_name = "REPOSITORY:TAG")]
    reference: String,
    #[command(flatten)]
    store: Store,
    /// Output format: table, or JSON for scripts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

#[derive(clap::Args)]
struct RestoreArguments {
    /// Tag, existing or removed
    #[arg(value_name = "REPOSITORY:TAG")]
    reference: String,
    /// Digest, or a time at which the tag pointed there: 2026-11-21T10:29:00Z, 2026-11-21 (midnight UTC), or 2h for two hours
    /// ago [default: the previous manifest]
    #[arg(long, value_name = "DIGEST|TIME")]
    to: Option<String>,
    #[command(flatten)]
    store: Store,
    /// Output format: text (table), or JSON for scripts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::History(arguments) => history(arguments).await,
        Command::Restore(arguments) => restore(arguments).await,
    }
}

/// Parses a reference that must have a tag.
fn tag_of(text: &str) -> Result<(RepositoryName, TagName), Error> {
    match Target::parse(text)? {
        Target {
            repository,
            manifest: Some(ManifestReference::Tag(tag)),
        } => Ok((repository, tag)),
        _ => Err(Error::Other(format!(
            "'{text}' names no tag: write REPOSITORY:TAG"
        ))),
    }
}

async fn history(arguments: History) -> Result<(), Error> {
    let (repository, tag) = tag_of(&arguments.reference)?;
    let registry = arguments.store.open().await?;
    let mut out = BufWriter::new(stdout().lock());
    let mut table = Table::new(&["DIGEST", "SINCE", "BY", "FROM", "UNTIL", "ENDED"]);
    let mut array = JsonArray::new();
    let (mut before, mut is_known) = (None, false);
    loop {
        let page = registry.tags().history(&repository, &tag, before).await?;
        is_known |= !page.items.is_empty();
        if !is_known {
            return Err(Error::Other(format!(
                "{repository} has no tag {tag}, and no history of it: run registry ls {repository} to list its tags"
            )));
        }
        for state in &page.items {
            match arguments.output {
                Format::Json => written(array.push(&mut out, &as_json(state)))?,
                Format::Table => table.row(as_row(state)),
            }
        }
        if arguments.output == Format::Table {
            written(table.print(&mut out))?;
        }
        before = page.next.and_then(|next| next.parse().ok());
        if before.is_none() {
            break;
        }
    }
    if arguments.output == Format::Json {
        written(array.finish(&mut out))
    } else {
        Ok(())
    }
}

fn as_row(state: &TagState) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let (until, ended) = match &state.end {
        None => ("now".to_owned(), String::new()),
        Some(end) => (
            exact_time(end.at),
            format!(
                "{} by {}",
                if end.is_deletion { "removed" } else { "moved" },
                output::actor(&end.by)
            ),
        ),
    };
    vec![
        state.digest.to_string(),
        exact_time(state.since),
        text(&state.set_by.name),
        text(&state.set_by.address),
        until,
        ended,
    ]
}

fn as_json(state: &TagState) -> Value {
    let person = |actor: &Actor| json!({ "name": actor.name, "address": actor.address });
    let end = state
        .end
        .as_ref()
        .map(|end| json!({ "at": exact_time(end.at), "how": if end.is_deletion { "removed" } else { "moved" }, "by": person(&end.by) }));
    json!({
        "digest": state.digest.as_str(),
        "mediaType": state.media_type,
        "size": state.size,
        "since": exact_time(state.since),
        "by": person(&state.set_by),
        "end": end,
    })
}

async fn restore(arguments: RestoreArguments) -> Result<(), Error> {
    let (repository, tag) = tag_of(&arguments.reference)?;
    let to = match &arguments.to {
        None => RestoreTarget::Previous,
        Some(text) => match Digest::parse(text) {
            Ok(digest) => RestoreTarget::Digest(digest),
            Err(_) if text.starts_with("sha") => {
                return Err(Error::Other(format!(
                    "'{text}' is not a digest: write sha256: and 64 hex digits"
                )));
            }
            Err(_) => RestoreTarget::At(time_arg::parse(text, now())?),
        },
    };
    let registry = arguments.store.open().await?;
    let before = present(&registry, &repository, &tag).await?;
    let digest = registry
        .tags()
        .restore(&repository, &tag, to, actor::local_user())
        .await?;
    output::print(
        match arguments.output {
            Format::Json => {
                let was = before.as_ref().map(Digest::as_str);
                format!("{}\n", json!({ "repository": repository.as_str(), "tag": tag.as_str(), "digest": digest.as_str(), "was": was }))
            }
            Format::Table => match before {
                Some(before) if before == digest => format!("tag {tag} of {repository} already points at {digest}\n"),
                Some(before) => format!("moved tag {tag} of {repository} from {before} to {digest}\n"),
                None => format!("restored tag {tag} of {repository}, which points at {digest}\n"),
            },
        }
        .as_bytes(),
    )
}

/// Returns the manifest that a tag points at, or `None` if it was removed.
pub(crate) async fn present(
    registry: &Registry,
    repository: &RepositoryName,
    tag: &TagName,
) -> Result<Option<Digest>, Error> {
    let newest = registry
        .tags()
        .history(repository, tag, None)
        .await?
        .items
        .into_iter()
        .next();
    Ok(newest
        .filter(|state| state.end.is_none())
        .map(|state| state.digest))
}
