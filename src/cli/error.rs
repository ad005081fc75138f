//! The error of a command.

use tarkeep::config::Violations;

/// A command's failure, in one sentence for a person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Config(#[from] tarkeep::config::Error),
    #[error(transparent)]
    Violations(#[from] Violations),
    #[error(transparent)]
    Registry(#[from] tarkeep::registry::Error),
    #[error(transparent)]
    Backup(#[from] tarkeep::backup::Error),
    #[error(transparent)]
    Import(#[from] tarkeep::import::Error),
    #[error("{0}")]
    Other(String),
    /// The output already says why.
    #[error("")]
    Reported,
}
