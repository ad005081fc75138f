//! Restoring at a server, as far as the login there may.

use serde::Deserialize;
use serde_json::Value;
use tarkeep::remote::Remote;
use tarkeep::report::{RemovalItem, RestoredItem};

use crate::cli::commands::changes::restored::Shown;
use crate::cli::error::Error;
use crate::cli::place::failed;
use crate::cli::terminal::output::Format;
use crate::cli::terminal::reference::{Names, Part, Reference, elsewhere};

/// Answer of the server.
#[derive(Deserialize)]
struct Answer {
    restored: Vec<RestoredItem>,
    removals: Vec<RemovalItem>,
}

/// Restores what a reference names, and prints each item.
///
/// # Errors
/// A reference that is a glob, and those of the server.
pub(super) async fn run(
    remote: &Remote,
    reference: Reference,
    format: Format,
) -> Result<(), Error> {
    let (repository, part) = reference.elsewhere("restore")?.one_repository("restore")?;
    let path = match elsewhere::part(remote, &repository, part).await? {
        Part::Digest(digest) => format!("trash/{repository}/{digest}"),
        Part::Tags(Names::One(tag)) => format!("trash/{repository}/{tag}"),
        Part::Tags(Names::Matching(_)) | Part::Whole => format!("selections/{repository}"),
    };
    let answer = remote.post::<Answer>(&path, &[], &Value::Null).await;
    let answer = answer.map_err(failed)?;
    let mut shown = Shown::new(format);
    for item in answer.restored {
        shown.add(item)?;
    }
    shown.finish(&answer.removals)
}
