//! The origin of a value.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::escape::OneLine;

/// Origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File {
        path: Arc<Path>,
        /// Line number, from 1.
        line: u64,
    },
    /// Environment variable of this name.
    Variable(Arc<str>),
    /// Flag of the command line, such as `--addr`.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => {
                write!(f, "{} line {line}", OneLine(&path.to_string_lossy()))
            }
            Self::Variable(name) => write!(f, "variable {}", OneLine(name)),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}
