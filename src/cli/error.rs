//! The error of a command.

use std::process::ExitCode;

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
    Backup(#[from] tarkeep::backup::Error),
    #[error(transparent)]
    Import(#[from] tarkeep::import::Error),
    #[error(transparent)]
    Export(#[from] tarkeep::export::Error),
    #[error("{0}")]
    Other(String),
    /// It is done, but for what this names.
    #[error("{0}")]
    LeftOut(String),
    /// The output already says why.
    #[error("")]
    Reported,
}

/// Exit code of a command that is done, but has left something out.
const LEFT_OUT: u8 = 3;

impl Error {
    /// Returns the exit code that `docs/json.md` names.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::LeftOut(_) => ExitCode::from(LEFT_OUT),
            _ => ExitCode::FAILURE,
        }
    }
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
