//! Failures that end an attempt to import.

use std::io;
use std::path::{Path, PathBuf};

use crate::registry;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error("cannot read {path}: {cause}; run the server as the user that owns the files of registry:2, or as root", path = .path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("the store of registry:2 in {path} was not taken over completely, and is not there any more: put it back, and start again", path = .0.display())]
    Gone(PathBuf),
    #[error("{path} holds no store of registry:2: name the directory that has docker/registry/v2 in it", path = .0.display())]
    NoStore(PathBuf),
    /// The receiver of the pieces has ended, and says why.
    #[error("the import was interrupted")]
    Interrupted,
}

impl Error {
    pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Unreadable {
            path: path.to_owned(),
            cause,
        }
    }
}
