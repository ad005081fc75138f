//! References to manifests in requests.

use std::fmt;

use crate::oci::{Digest, DigestError, NameError, TagName};

/// The tag or digest by which a request names a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestReference {
    Tag(TagName),
    Digest(Digest),
}

/// Text that is neither a tag nor a digest.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    #[error(transparent)]
    Tag(#[from] NameError),
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl ManifestReference {
    /// Parses a tag or a digest.
    ///
    /// # Errors
    /// [`ReferenceError`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        // no tag contains a colon
        Ok(match text.contains(':') {
            true => Self::Digest(Digest::parse(text)?),
            false => Self::Tag(TagName::parse(text)?),
        })
    }
}

impl fmt::Display for ManifestReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.as_str(),
        })
    }
}
