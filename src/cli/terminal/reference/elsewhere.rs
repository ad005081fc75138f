//! References to what a server has: it tells what a shortened digest means.

use serde_json::Value;
use tarkeep::oci::{Digest, RepositoryName};
use tarkeep::registry::ManifestReference;
use tarkeep::remote::Remote;

use crate::cli::error::Error;
use crate::cli::place::failed;
use crate::cli::terminal::reference::digests::only;
use crate::cli::terminal::reference::named::{Image, Named};
use crate::cli::terminal::reference::names::Part;

/// Completes the digest of a part, if it is one.
///
/// # Errors
/// The digest is unknown or ambiguous, and those of the server.
pub(crate) async fn part(
    remote: &Remote,
    repository: &RepositoryName,
    part: Part,
) -> Result<Part, Error> {
    match part {
        Part::Digest(prefix) => {
            let digest = digest(remote, repository, &prefix).await?;
            Ok(Part::Digest(digest.to_string()))
        }
        other => Ok(other),
    }
}

/// Finds the only digest that begins with a prefix in a repository.
async fn digest(
    remote: &Remote,
    repository: &RepositoryName,
    prefix: &str,
) -> Result<Digest, Error> {
    if let Ok(digest) = Digest::parse(prefix) {
        return Ok(digest);
    }
    let path = format!("digests/{repository}/{prefix}");
    let page = remote.get::<Value>(&path, &[]).await.map_err(failed)?;
    let found = page.body["digests"].as_array().into_iter().flatten();
    let found = found.filter_map(Value::as_str).map(Digest::parse);
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|error| Error::Other(error.to_string()))?;
    only(&found, Some(repository), prefix)
}

/// Writes an image as a server takes it: `NAME:TAG` or `NAME@DIGEST`.
pub(crate) fn image(repository: &RepositoryName, reference: &ManifestReference) -> String {
    match reference {
        ManifestReference::Tag(tag) => format!("{repository}:{tag}"),
        ManifestReference::Digest(digest) => format!("{repository}@{digest}"),
    }
}

impl Named {
    /// Returns the repository and the manifest at a server, by default that of the tag `latest`.
    ///
    /// # Errors
    /// As [`Self::manifest`], and those of the server.
    pub(crate) async fn manifest_elsewhere(
        self,
        remote: &Remote,
        command: &str,
    ) -> Result<(RepositoryName, ManifestReference), Error> {
        let (repository, image) = self.image(command)?;
        let reference = match image {
            Image::Tag(tag) => ManifestReference::Tag(tag),
            Image::Digest(prefix) => {
                ManifestReference::Digest(digest(remote, &repository, &prefix).await?)
            }
        };
        Ok((repository, reference))
    }
}
