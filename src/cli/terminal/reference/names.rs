//! Names of repositories and tags, and globs that match many.

use std::fmt;

use tarkeep::oci::{Glob, RepositoryName, TagName};

use crate::cli::error::Error;

/// A name, or a glob that matches many.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Names<T> {
    One(T),
    Matching(Glob),
}

/// The named part of a repository.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Whole,
    Tags(Names<TagName>),
    /// A digest or a prefix of one.
    Digest(String),
}

/// True if a text is a glob: names cannot contain these characters.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

impl<T: fmt::Display> fmt::Display for Names<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => name.fmt(formatter),
            Self::Matching(glob) => glob.fmt(formatter),
        }
    }
}

impl<T> Names<T> {
    pub(super) fn parse(
        text: &str,
        one: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Self, String> {
        if is_glob(text) {
            Glob::try_from(text.to_owned()).map(Self::Matching)
        } else {
            one(text).map(Self::One)
        }
    }

    /// Returns the glob, if it is one.
    pub(crate) fn glob(&self) -> Option<&Glob> {
        match self {
            Self::One(_) => None,
            Self::Matching(glob) => Some(glob),
        }
    }
}

/// Parses a tag.
pub(crate) fn tag(text: &str) -> Result<TagName, Error> {
    TagName::parse(text).map_err(|error| Error::Other(error.to_string()))
}

/// Parses the name of a repository.
pub(crate) fn repository(text: &str) -> Result<RepositoryName, Error> {
    RepositoryName::parse(text).map_err(|error| Error::Other(error.to_string()))
}
