//! The error of a command.

use tarkeep::config::Violations;
use tarkeep::registry::Error as Failure;

/// A command's failure, in one sentence for a person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Config(#[from] tarkeep::config::Error),
    #[error(transparent)]
    Violations(#[from] Violations),
    #[error("{0}{remedy}", remedy = remedy(.0))]
    Registry(#[from] Failure),
    #[error(transparent)]
    Import(#[from] tarkeep::import::Error),
    #[error("{0}")]
    Other(String),
    /// The output already says why.
    #[error("")]
    Reported,
}

/// Ends the sentence about a name that is unknown: where the names are.
fn remedy(failure: &Failure) -> String {
    match failure {
        Failure::NameUnknown(_) => {
            ": registry ls lists repositories, and registry restore what was deleted".to_owned()
        }
        Failure::ManifestUnknown { repository, .. } => {
            format!(": registry ls {repository} lists its tags")
        }
        _ => String::new(),
    }
}
