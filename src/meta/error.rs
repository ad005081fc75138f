//! Reasons why the metadata could not be read or changed.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi::{
    SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE,
};

/// A failure to read or change the metadata.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the database {path} was written by a newer registry (schema {found}, this one knows {known}): install that version, or go back to the copy that its upgrade kept beside it (docs/upgrade.md)"
    )]
    TooNew {
        path: String,
        found: i64,
        known: i64,
    },
    #[error(
        "cannot keep a copy of the database {path} before its upgrade: {cause}; nothing was changed: free as much space there as the database takes, and start again"
    )]
    NotCopied { path: String, cause: String },
    #[error(
        "{0} is not a database of this registry: restore a backup of it (docs/backup.md), move that file away, or name another --data-dir"
    )]
    Foreign(String),
    #[error(
        "cannot open the database {path}: {cause}; it and the files beside it must belong to this user, or name another directory with --data-dir"
    )]
    Open { path: String, cause: String },
    #[error(
        "the disk of the database {path} is full: free space there, or name a directory on another disk with --data-dir"
    )]
    NoSpace { path: String },
    #[error(
        "the database {path} is damaged: {cause}; restore a backup, or stop the server and save what is readable with: sqlite3 {path} .recover"
    )]
    Damaged { path: String, cause: String },
    #[error(
        "the file system of the database {path} shares no mapped files, as FUSE mounts with direct_io: mount it without that option, or name a directory on another one with --data-dir"
    )]
    Unmapped { path: String },
    #[error("the database failed: {message}{}", remedy(*.kind))]
    Database { kind: Fault, message: String },
    #[error("no connection to the database was free: {0}")]
    Exhausted(String),
    #[error("the change could not be made durable: {0}")]
    Commit(String),
    #[error("the writer has stopped")]
    Stopped,
    #[error("reading the database ended early: {0}")]
    Interrupted(String),
}

/// The kind of a database failure, as far as callers act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk has no space for the change.
    Full,
    /// Another process holds a lock that was not released in time.
    Busy,
    /// The file is not a database.
    Foreign,
    /// The content of the file is inconsistent.
    Damaged,
    /// The disk has no space for the index of the log.
    IndexFull,
    /// The index of the log cannot be mapped.
    Unmapped,
    /// The file could not be written, which a quota may prevent.
    Unwritten,
    Other,
}

impl Error {
    /// Returns the error of a database that cannot be opened.
    pub(in crate::meta) fn unopened(path: &Path, cause: impl std::fmt::Display) -> Self {
        Self::Open {
            path: path.display().to_string(),
            cause: cause.to_string(),
        }
    }

    /// Returns the error of a database whose file, or one beside it, cannot be opened.
    pub(in crate::meta) fn unopened_file(path: &Path, cause: io::Error) -> Self {
        match is_no_space(&cause) {
            true => Self::NoSpace {
                path: path.display().to_string(),
            },
            false => Self::unopened(path, cause),
        }
    }

    /// Names the file whose disk has no space for what an open database needs.
    pub(in crate::meta) fn at_opening(self, path: &Path) -> Self {
        match self.is_full() {
            true => Self::NoSpace {
                path: path.display().to_string(),
            },
            false => self,
        }
    }

    /// True if the disk has no space for the change.
    pub fn is_full(&self) -> bool {
        self.is(Fault::Full) || self.is(Fault::IndexFull)
    }

    /// True if a file could not be written: the file system knows why.
    pub fn is_unwritten(&self) -> bool {
        self.is(Fault::Unwritten) || matches!(self, Self::Commit(_))
    }

    /// Names the file if it is damaged or cannot be mapped: SQLite's own message does not.
    pub(in crate::meta) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Database {
                kind: Fault::Damaged,
                message,
            } => Self::Damaged {
                path: path.display().to_string(),
                cause: message,
            },
            unmapped if unmapped.is(Fault::Unmapped) => Self::Unmapped {
                path: path.display().to_string(),
            },
            other => other,
        }
    }

    pub(in crate::meta) fn is(&self, fault: Fault) -> bool {
        matches!(self, Self::Database { kind, .. } if *kind == fault)
    }
}

/// True if a disk or a quota leaves no space.
pub(in crate::meta) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Ends the sentence about a failure of a database whose path is not known.
fn remedy(kind: Fault) -> &'static str {
    match kind {
        Fault::Damaged => "; restore a backup of registry.db (docs/backup.md)",
        _ => "",
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map(|error| error.extended_code);
        let kind = match error.sqlite_error_code() {
            _ if extended == Some(SQLITE_IOERR_SHMSIZE) => Fault::IndexFull,
            _ if extended == Some(SQLITE_IOERR_SHMMAP) => Fault::Unmapped,
            // SQLite knows no quotas
            _ if matches!(extended, Some(SQLITE_IOERR_WRITE | SQLITE_IOERR_FSYNC)) => {
                Fault::Unwritten
            }
            Some(ErrorCode::DiskFull) => Fault::Full,
            Some(ErrorCode::DatabaseBusy) => Fault::Busy,
            Some(ErrorCode::NotADatabase) => Fault::Foreign,
            Some(ErrorCode::DatabaseCorrupt) => Fault::Damaged,
            _ => Fault::Other,
        };
        Self::Database {
            kind,
            message: error.to_string(),
        }
    }
}
