//! Files of databases: opening, creating and copying them whole.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::meta::error::Error;
use crate::meta::sqlite::beside::beside;
use crate::meta::sqlite::locks::wait_for_others;

/// Pages copied at once: 16 MiB.
const STEP: i32 = 4096;

/// Opens a database that another user may have put a link in the place of, which is not followed.
pub(super) fn open_copy(path: &Path, access: OpenFlags) -> Result<Connection, Error> {
    open(&linkless(path)?, access | OpenFlags::SQLITE_OPEN_NOFOLLOW)
}

/// Resolves the links of the directories on the way to a file: SQLite follows either all links or none.
pub(super) fn linkless(path: &Path) -> Result<PathBuf, Error> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(path.to_owned());
    };
    match parent.as_os_str().is_empty() {
        true => Ok(path.to_owned()),
        false => {
            let resolved = parent.canonicalize();
            Ok(resolved
                .map_err(|error| Error::unopened(path, error))?
                .join(name))
        }
    }
}

fn open(path: &Path, access: OpenFlags) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| Error::unopened(path, error))?;
    connection.busy_handler(Some(wait_for_others))?;
    Ok(connection)
}

/// Creates an empty file for its owner alone, in place of another one.
///
/// One of the two is there at any moment: its name says whose the directory is.
pub(super) fn create(path: &Path) -> io::Result<()> {
    for suffix in ["-journal", "-wal", "-shm"] {
        remove_if_present(&beside(path, suffix))?;
    }
    let new = new_name(path);
    remove_if_present(&new)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    fs::rename(&new, path)
}

/// Removes the file of an unfinished copy, if there is one.
pub fn remove_copy(path: &Path) -> io::Result<()> {
    remove_if_present(&new_name(path))?;
    remove_if_present(path)
}

/// Name of a copy's file until it takes the place of another one. No link is followed to it.
fn new_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-new");
    name.into()
}

pub(super) fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Copies all pages of one snapshot.
pub(super) fn copy_pages(from: &Path, to: &Path) -> Result<(), Error> {
    let source = open(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut copy = open_copy(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // it is synced when it is complete
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    // else every commit of a writer has the copy begin again
    let snapshot = source.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let backup = Backup::new(&source, &mut copy)?;
    while backup.step(STEP)? != StepResult::Done {}
    Ok(())
}
