//! What is wrong with a configuration, and what is worth a word.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::source::Origin;

/// Something that keeps a configuration from being used: where it is, and a sentence that names cause and remedy. Values of
/// secrets are never in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    /// The key or the section: `health.http[0].uri`. Empty for the file as a whole.
    pub about: String,
    pub sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => f.write_str(&self.sentence),
            Origin::File { .. } => write!(f, "{}: {}", self.origin, self.sentence),
            Origin::Variable(name) => write!(f, "the variable {name}: {}", self.sentence),
        }
    }
}

/// Why there is no configuration.
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

/// What is found on the way through a configuration.
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

    /// Something that was passed over.
    pub fn note(&mut self, origin: &Origin, sentence: &str) {
        self.notes.push(format!("{sentence} ({origin})"));
    }
}
