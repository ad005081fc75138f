//! Failures of a backup.

use std::io;
use std::path::{Path, PathBuf};

use crate::registry;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the backup would lie inside of the data directory: {path} is in it; name a directory on another disk", path = .0.display())]
    InsideData(PathBuf),
    #[error("{path} holds other files and no backup: name an empty directory, or one that does not exist", path = .0.display())]
    NotEmpty(PathBuf),
    #[error("{path} holds a registry that is no backup, or was changed since it was one: name another directory", path = .0.display())]
    NotABackup(PathBuf),
    #[error("{path} is in use: another backup to it is being made, or a server or a command runs on it", path = .0.display())]
    Busy(PathBuf),
    #[error("there is no directory {path} for backups: create it, on the disk that they go to", path = .0.display())]
    Missing(PathBuf),
    #[error("the disk of {path} has {free} bytes free, and the backup needs {needed} more: free space there, or name another disk", path = .path.display())]
    TooSmall {
        path: PathBuf,
        needed: u64,
        free: u64,
    },
    #[error("the disk of {path} is full: free space there, or name another disk; the backup before is as it was", path = .0.display())]
    Full(PathBuf),
    #[error("{doing} {path} failed: {cause}", path = .path.display())]
    Files {
        doing: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    #[error(
        "blobs were removed again and again while they were copied: something other than the server removes them"
    )]
    Unsettled,
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl Error {
    /// Returns the error of the database of a backup in `path`; recognises a full disk.
    pub(in crate::backup) fn database<E: Into<registry::Error>>(
        path: &Path,
    ) -> impl Fn(E) -> Self + use<E> {
        let path = path.to_owned();
        move |error| match error.into() {
            full if full.is_full() => Self::Full(path.clone()),
            other => Self::Registry(other),
        }
    }

    /// Adds the failed action and its place to a file system error; recognises a full disk.
    pub(in crate::backup) fn files(
        doing: &'static str,
        path: &Path,
    ) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |cause| match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path.clone()),
            _ => Self::Files {
                doing,
                path: path.clone(),
                cause,
            },
        }
    }
}
