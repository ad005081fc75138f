//! Errors in a configuration, and notes about it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::source::Origin;

/// An error in a configuration: its origin, and a sentence with cause and remedy.
///
/// It never contains the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    /// Key or section, such as `health.http[0].uri`; empty for the whole file.
    pub about: String,
    pub sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => f.write_str(&self.sentence),
            Origin::File { .. } => write!(f, "{}: {}", self.origin, self.sentence),
            Origin::Variable(name) => write!(f, "the variable {name}: {}", self.sentence),
            Origin::Flag(name) => write!(f, "the flag {name}: {}", self.sentence),
        }
    }
}

/// An unreadable or invalid configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the configuration {path}: {cause}", path = .path.display())]
    Read {
        path: PathBuf,
        cause: std::io::Error,
    },
    /// Never empty.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<Problem>),
}

/// Problems and notes collected while a configuration is read.
#[derive(Default)]
pub(super) struct Report {
    pub problems: Vec<Problem>,
    pub notes: Vec<String>,
}

impl Report {
    pub fn problem(&mut self, origin: &Origin, about: &str, sentence: String) {
        self.problems.push(Problem {
            origin: origin.clone(),
            about: about.to_owned(),
            sentence,
        });
    }

    pub fn variable(&mut self, name: &Arc<str>, about: &str, sentence: String) {
        self.problem(&Origin::Variable(Arc::clone(name)), about, sentence);
    }

    /// Adds a note about an ignored key.
    pub fn note(&mut self, origin: &Origin, sentence: &str) {
        self.notes.push(format!("{sentence} ({origin})"));
    }
}
