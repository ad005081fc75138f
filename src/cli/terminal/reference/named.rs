//! References whose repository is known, and the parts of them that commands take.

use tarkeep::oci::{Glob, RepositoryName, TagName};
use tarkeep::registry::{ManifestReference, Registry};

use crate::cli::error::Error;
use crate::cli::terminal::reference::digests::digest;
use crate::cli::terminal::reference::names::{Names, Part, tag};

/// A reference whose repository is known.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub text: String,
    pub repositories: Names<RepositoryName>,
    pub part: Part,
}

/// An image of a repository, as named.
pub(super) enum Image {
    Tag(TagName),
    /// A digest or a prefix of one.
    Digest(String),
}

impl Named {
    /// Returns the repository and the tag.
    ///
    /// # Errors
    /// The reference names something else.
    pub(crate) fn tag(self, command: &str) -> Result<(RepositoryName, TagName), Error> {
        match (self.repositories, self.part) {
            (Names::One(repository), Part::Tags(Names::One(tag))) => Ok((repository, tag)),
            (repositories, part) => Err(mismatch(
                command,
                "a tag, REPOSITORY:TAG",
                &self.text,
                &repositories,
                &part,
            )),
        }
    }

    /// Returns the repository and the tag, if the reference names one tag.
    pub(crate) fn one_tag(&self) -> Option<(RepositoryName, TagName)> {
        match (&self.repositories, &self.part) {
            (Names::One(repository), Part::Tags(Names::One(tag))) => {
                Some((repository.clone(), tag.clone()))
            }
            _ => None,
        }
    }

    /// Returns the glob of repositories that are meant as a whole; a name is a glob that matches itself.
    ///
    /// # Errors
    /// The reference names something in a repository.
    pub(crate) fn whole(self, command: &str) -> Result<Glob, Error> {
        match (self.repositories, self.part) {
            (Names::Matching(glob), Part::Whole) => Ok(glob),
            // no name contains a special character of globs
            (Names::One(name), Part::Whole) => {
                Glob::try_from(name.to_string()).map_err(Error::Other)
            }
            (repositories, part) => Err(mismatch(
                command,
                "REPOSITORY",
                &self.text,
                &repositories,
                &part,
            )),
        }
    }

    /// Returns the repository and the part of it, which may not be a glob.
    ///
    /// # Errors
    /// The reference is a glob.
    pub(crate) fn one_repository(self, command: &str) -> Result<(RepositoryName, Part), Error> {
        match (self.repositories, self.part) {
            (Names::One(repository), part) if !matches!(part, Part::Tags(Names::Matching(_))) => {
                Ok((repository, part))
            }
            (repositories, part) => Err(mismatch(
                command,
                "REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST",
                &self.text,
                &repositories,
                &part,
            )),
        }
    }

    /// Returns the repository and the manifest, by default that of the tag `latest`, as docker does.
    ///
    /// # Errors
    /// The reference names something else, or its digest is unknown or ambiguous.
    pub(crate) async fn manifest(
        self,
        registry: &Registry,
        command: &str,
    ) -> Result<(RepositoryName, ManifestReference), Error> {
        let (repository, image) = self.image(command)?;
        let reference = match image {
            Image::Tag(tag) => ManifestReference::Tag(tag),
            Image::Digest(prefix) => {
                ManifestReference::Digest(digest(registry, Some(&repository), &prefix).await?)
            }
        };
        Ok((repository, reference))
    }

    /// Returns the repository and the image in it that is named.
    pub(super) fn image(self, command: &str) -> Result<(RepositoryName, Image), Error> {
        match (self.repositories, self.part) {
            (Names::One(repository), Part::Whole) => Ok((repository, Image::Tag(tag("latest")?))),
            (Names::One(repository), Part::Tags(Names::One(tag))) => {
                Ok((repository, Image::Tag(tag)))
            }
            (Names::One(repository), Part::Digest(prefix)) => {
                Ok((repository, Image::Digest(prefix)))
            }
            (repositories, part) => Err(mismatch(
                command,
                "one image, REPOSITORY:TAG or REPOSITORY@DIGEST",
                &self.text,
                &repositories,
                &part,
            )),
        }
    }

    /// Returns the repositories and the tags, all by default.
    ///
    /// # Errors
    /// The reference has a digest.
    pub(crate) fn tags(
        self,
        command: &str,
    ) -> Result<(Names<RepositoryName>, Option<Names<TagName>>), Error> {
        match self.part {
            Part::Whole => Ok((self.repositories, None)),
            Part::Tags(tags) => Ok((self.repositories, Some(tags))),
            part => Err(mismatch(
                command,
                "repositories or tags, REPOSITORY[:TAG]",
                &self.text,
                &self.repositories,
                &part,
            )),
        }
    }
}

/// Explains that a command takes another kind of reference, and names the command that takes this one.
fn mismatch(
    command: &str,
    wanted: &str,
    text: &str,
    repositories: &Names<RepositoryName>,
    part: &Part,
) -> Error {
    let (kind, remedy) = match (repositories, part) {
        (Names::Matching(_), _) | (_, Part::Tags(Names::Matching(_))) => (
            "a glob",
            format!("registry ls '{text}' lists what it matches"),
        ),
        (_, Part::Whole) => ("a repository", format!("registry ls {text} lists its tags")),
        (_, Part::Tags(Names::One(_))) => {
            ("a tag", format!("registry inspect {text} describes it"))
        }
        (_, Part::Digest(_)) => (
            "a manifest",
            format!("registry inspect {text} describes it and lists its tags"),
        ),
    };
    Error::Other(format!(
        "registry {command} takes {wanted}, and '{text}' is {kind}: {remedy}"
    ))
}
