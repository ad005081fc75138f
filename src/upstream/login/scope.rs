//! Scopes of requests.

use std::fmt;

use crate::oci::RepositoryName;

/// Scope of a request: access that it needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::upstream) enum Scope {
    /// Pulls from a repository, by its name upstream.
    Pull(RepositoryName),
    /// The list of repositories.
    Catalog,
}

impl Scope {
    /// Returns the repository, if it is one.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Pull(name) => Some(name),
            Self::Catalog => None,
        }
    }
}

/// The form in which token services write a scope.
impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pull(name) => write!(formatter, "repository:{name}:pull"),
            Self::Catalog => formatter.write_str("registry:catalog:*"),
        }
    }
}
