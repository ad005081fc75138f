//! Failures that end an attempt to import.

use std::io;
use std::path::{Path, PathBuf};

use crate::oci::TagName;
use crate::registry;
use crate::upstream;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error("cannot read {path}: {cause}{remedy}", path = .path.display(), remedy = unreadable_remedy(.cause))]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("the store of registry:2 in {path} was not taken over completely, and is not there any more: put it back, and start again", path = .0.display())]
    Gone(PathBuf),
    #[error("the store of registry:2 in {directory} cannot be taken over without copying it, because its file system has no hard links: copy it with 'registry import {directory} --data-dir {directory}', and start again", directory = .0.display())]
    NoHardLinks(PathBuf),
    #[error("{path} is neither the directory of a registry:2, with docker/registry/v2 in it, nor an image layout, with index.json", path = .0.display())]
    NoSource(PathBuf),
    #[error("{path} lists no images: it has neither index.json nor manifest.json, or they are empty", path = .0.display())]
    NoImages(PathBuf),
    #[error("cannot read the archive {path}: {cause}", path = .path.display())]
    Archive { path: PathBuf, cause: io::Error },
    #[error("{path} is not a list of images: {cause}", path = .path.display())]
    List {
        path: PathBuf,
        cause: serde_json::Error,
    },
    #[error(
        "there are {images} images, and all would get the tag {tag}: name a repository without a tag"
    )]
    OneTag { tag: TagName, images: usize },
    #[error("{url}: {cause}; repeat the import, which goes on where it was")]
    Upstream { url: String, cause: upstream::Error },
    #[error(
        "{url} does not list its repositories ({cause}): name those that you want, with --only NAME"
    )]
    NoCatalog { url: String, cause: upstream::Error },
    #[error(
        "{url} lists no repository that is wanted: see whether the login may list them all, or name them in allow"
    )]
    NothingListed { url: String },
    #[error("{url}: {}", login_sentence(.cause))]
    Login { url: String, cause: upstream::Error },
    #[error(
        "{url}: {cause}: see whether it runs there, whether it speaks http:// or https://, and whether --ca has to name its authority"
    )]
    Unreached { url: String, cause: upstream::Error },
    #[error("only {remaining} of {limit} requests remain at {url}, and they are left to clients")]
    Reserved {
        url: String,
        remaining: u64,
        limit: u64,
    },
    /// The receiver of the pieces has ended, and says why.
    #[error("the import was interrupted")]
    Interrupted,
}

/// Returns what is wrong with a login, and what to do.
fn login_sentence(cause: &upstream::Error) -> String {
    match cause {
        upstream::Error::NoLogin => "it wants a login to list its repositories: give one with --username and --password-file, or name those that you want with --only NAME".to_owned(),
        upstream::Error::Unauthorized(_) => {
            format!("{cause}: see what --username and --password-file say")
        }
        cause => cause.to_string(),
    }
}

/// Ends the sentence about a file that cannot be read.
fn unreadable_remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => {
            "; run this as the user that owns the files of registry:2, or as root"
        }
        _ => "",
    }
}

impl Error {
    pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Unreadable {
            path: path.to_owned(),
            cause,
        }
    }

    /// True if the disk has no room for what is to be stored.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_full())
    }

    pub(super) fn archive(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Archive {
            path: path.to_owned(),
            cause,
        }
    }

    pub(super) fn list(path: &Path) -> impl FnOnce(serde_json::Error) -> Self {
        move |cause| Self::List {
            path: path.to_owned(),
            cause,
        }
    }
}
