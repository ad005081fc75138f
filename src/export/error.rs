//! Failures of an export, after which nothing new is at its destination.

use std::io;
use std::path::{Path, PathBuf};

use crate::oci::Digest;
use crate::registry;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(
        "nothing was exported: {digest} of {image} is damaged: {problem}; push the image again, or take the blob from a backup"
    )]
    Damaged {
        image: String,
        digest: Digest,
        problem: String,
    },
    #[error("nothing was exported: {digest} of {image} cannot be read: {cause}")]
    Unreadable {
        image: String,
        digest: Digest,
        cause: io::Error,
    },
    #[error("nothing was exported: {image} needs {digest}, which is not stored: push it again")]
    Incomplete { image: String, digest: Digest },
    #[error(
        "'{0}' is not a platform: write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, as in linux/arm64"
    )]
    Platform(String),
    #[error(
        "nothing was exported: {image} is not there for {wanted}, but for {present}: leave it out, or choose another --platform"
    )]
    OtherPlatform {
        image: String,
        wanted: String,
        present: String,
    },
    #[error(
        "nothing was exported: {0} is for several platforms, and docker load takes one image: add --platform, as in --platform linux/amd64"
    )]
    SeveralPlatforms(String),
    #[error(
        "nothing was exported: {0} is no image that docker could load: leave it out, or export without --docker"
    )]
    NoImage(String),
    #[error("cannot export to {}: {problem}", .path.display())]
    Destination { path: PathBuf, problem: String },
    #[error("nothing was exported: cannot write to {destination}: {cause}")]
    Unwritten {
        destination: String,
        cause: io::Error,
    },
    #[error("{} is no earlier export: {problem}", .path.display())]
    Earlier { path: PathBuf, problem: String },
    #[error("nothing was exported: cannot keep the manifests in a temporary file: {0}")]
    Spool(io::Error),
    #[error("nothing was exported: it was interrupted")]
    Interrupted,
}

impl Error {
    pub(super) fn destination(path: &Path, problem: impl ToString) -> Self {
        Self::Destination {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }

    /// Adds the image to what was wrong with one of its manifests.
    pub(super) fn of_manifest(
        image: &str,
        digest: &Digest,
    ) -> impl FnOnce(registry::Error) -> Self {
        move |error| match error {
            registry::Error::DigestMismatch { actual, .. } => Self::Damaged {
                image: image.to_owned(),
                digest: digest.clone(),
                problem: format!("its bytes have digest {actual}"),
            },
            registry::Error::ManifestInvalid(problem) => Self::Damaged {
                image: image.to_owned(),
                digest: digest.clone(),
                problem: problem.to_string(),
            },
            registry::Error::ReferencesUnknown { digests, .. } => Self::Incomplete {
                image: image.to_owned(),
                digest: digests.into_iter().next().unwrap_or_else(|| digest.clone()),
            },
            other => Self::Registry(other),
        }
    }
}
