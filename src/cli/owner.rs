//! Refusals to a user who is not the owner of the data directory.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tarkeep::escape;
use tarkeep::registry::Error as Failure;

use crate::cli::account;
use crate::cli::error::Error;

/// Names the owner of a data directory that this user may not use, and the command that works.
pub(crate) fn explained(failure: Failure, directory: &Path) -> Error {
    let owner = directory.metadata().map(|metadata| metadata.uid());
    match owner {
        Ok(owner) if failure.is_unopened() && is_other_user(owner) => Error::Other(format!(
            "the data directory {} is {}",
            directory.display(),
            owned_by(owner)
        )),
        _ => failure.into(),
    }
}

/// Rejects a data directory of another user, who could not use files that this process creates there.
pub(crate) fn check(directory: &Path) -> Result<(), Error> {
    match directory.metadata().map(|metadata| metadata.uid()) {
        Ok(owner) if owner != rustix::process::geteuid().as_raw() => Err(Error::Other(format!(
            "the data directory {} is {}",
            directory.display(),
            owned_by(owner)
        ))),
        _ => Ok(()),
    }
}

/// True if the user is not the one of this process, which is not root either.
pub(crate) fn is_other_user(user: u32) -> bool {
    let own = rustix::process::geteuid();
    !own.is_root() && own.as_raw() != user
}

/// Ends a sentence: `owned by USER: sudo -u USER registry ls`, with this process's arguments.
pub(crate) fn owned_by(user: u32) -> String {
    let name = account::name_of(user);
    // sudo takes a number as '#N'
    let account = match name.strip_prefix("uid ") {
        Some(number) => format!("'#{number}'"),
        None => name.clone(),
    };
    let words = std::env::args_os();
    let words: Vec<_> = words
        .map(|word| escape::shell(&word.to_string_lossy()).into_owned())
        .collect();
    format!("owned by {name}: sudo -u {account} {}", words.join(" "))
}
