//! References on the command line: `REPOSITORY[:TAG|@DIGEST]`.

use tarkeep::oci::{Digest, RepositoryName, TagName};
use tarkeep::registry::ManifestReference;

use crate::cli::error::Error;

/// A repository, or a manifest in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub repository: RepositoryName,
    pub manifest: Option<ManifestReference>,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let invalid =
            |error: &dyn std::fmt::Display| Error::Other(format!("cannot read '{text}': {error}"));
        let (name, manifest) = if let Some((name, digest)) = text.split_once('@') {
            (
                name,
                Some(ManifestReference::Digest(
                    Digest::parse(digest).map_err(|error| invalid(&error))?,
                )),
            )
        } else if let Some((name, tag)) = text.split_once(':') {
            (
                name,
                Some(ManifestReference::Tag(
                    TagName::parse(tag).map_err(|error| invalid(&error))?,
                )),
            )
        } else {
            (text, None)
        };
        // REPOSITORY:TAG@DIGEST, as docker prints it: the digest decides
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        let repository = RepositoryName::parse(name).map_err(|error| invalid(&error))?;
        Ok(Self {
            repository,
            manifest,
        })
    }

    /// Returns the manifest, by default that of the tag `latest`, as docker does.
    pub(crate) fn manifest_or_latest(self) -> Result<(RepositoryName, ManifestReference), Error> {
        let manifest = match self.manifest {
            Some(manifest) => manifest,
            None => ManifestReference::Tag(tag("latest")?),
        };
        Ok((self.repository, manifest))
    }
}

/// Parses a tag.
pub(crate) fn tag(text: &str) -> Result<TagName, Error> {
    TagName::parse(text).map_err(|error| Error::Other(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_digests_and_both_are_read() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let is = |text: &str| Target::parse(text).unwrap();
        assert_eq!(is("a/b").manifest, None);
        assert!(matches!(
            is("a/b:c").manifest,
            Some(ManifestReference::Tag(_))
        ));
        assert!(matches!(
            is(&format!("a/b@{digest}")).manifest,
            Some(ManifestReference::Digest(_))
        ));
        assert_eq!(is(&format!("a/b:c@{digest}")), is(&format!("a/b@{digest}")));
        for text in ["", "A", "a:", "a@sha256:1", "a:b:c", "localhost:5000/a"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }
}
