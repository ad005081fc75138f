//! Opening the connection that writes.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::files::regular_file::{self, Links};
use crate::meta::error::{Error, Fault, is_no_space};
use crate::meta::process_clock::now;
use crate::meta::sqlite::beside::beside;
use crate::meta::sqlite::copy_on_write::{
    Index, exempt_log, has_small_blocks, reserve_log, sync_file_system,
};
use crate::meta::sqlite::locks::wait_for_others;
use crate::meta::sqlite::pool::{STATEMENT_CACHE, plan_once};
use crate::meta::sqlite::schema::{check_header, check_owner, is_new, migrate};

/// Number of attempts to open a database that another process is opening, and the pause between them.
const START_TRIES: u32 = 500;
const START_PAUSE: Duration = Duration::from_millis(10);

/// Opens this process's only writing connection, and applies missing migrations.
///
/// Retries while another process does the same: SQLite does not wait for a lock while it holds one that the other process
/// may wait for, as when a new database gets its log.
pub(in crate::meta) fn open_writer(path: &Path) -> Result<Connection, Error> {
    // created here to be private from the start; SQLite gives -wal and -shm the same mode
    let options = &mut OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    regular_file::open(path, options, Links::Follow)
        .map_err(|error| Error::unopened_file(path, error))?;
    let index = open_index(path)?;
    let opened = match wait_and_open_writer(path) {
        // SQLite cuts the index and extends it again; btrfs gives freed blocks out again after it has committed
        Err(error) if error.is(Fault::IndexFull) => {
            sync_file_system(path);
            wait_and_open_writer(path)
        }
        other => other,
    };
    let opened = opened.map_err(|error| error.in_file(path).at_opening(path))?;
    reserve_disk_space(&opened, path, index.as_ref());
    Ok(opened)
}

/// Opens the index of the log; fails only if the disk has no space for one that must have it.
fn open_index(path: &Path) -> Result<Option<Index>, Error> {
    if has_small_blocks(path).unwrap_or(false) {
        // nothing may be left beside a file of another program
        check_header(path)?;
    }
    match Index::open(path) {
        Ok(index) => Ok(index),
        Err(error) if is_no_space(&error) => Err(Error::unopened_file(path, error)),
        Err(error) => {
            tracing::debug!(%error, "cannot open the index of the database's log");
            Ok(None)
        }
    }
}

fn wait_and_open_writer(path: &Path) -> Result<Connection, Error> {
    for _ in 0..START_TRIES {
        match try_open_writer(path) {
            Err(error) if error.is(Fault::Busy) => std::thread::sleep(START_PAUSE),
            other => return other,
        }
    }
    try_open_writer(path)
}

fn try_open_writer(path: &Path) -> Result<Connection, Error> {
    let mut connection = Connection::open(path).map_err(|error| Error::unopened(path, error))?;
    connection.busy_handler(Some(wait_for_others))?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    plan_once(&connection)?;
    check_owner(&connection, path)?;
    if is_new(&connection)? {
        // only possible in a database without pages
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -8192;",
    )?;
    go_by_process_clock(&connection)?;
    migrate(&mut connection, path)?;
    // else the journal of a savepoint is a file once it exceeds 64 KiB: half the work of a change
    connection.execute_batch("PRAGMA temp_store = MEMORY")?;
    Ok(connection)
}

/// Gives triggers and migrations the registry's time in place of the system's, which may jump.
fn go_by_process_clock(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    // half a millisecond more, because they multiply by 1000 and truncate
    connection.create_scalar_function("unixepoch", 1, flags, |_| Ok((now() as f64 + 0.5) / 1000.0))
}

/// Reserves disk space for the log and its index, so that content can still be read and deleted on a full disk.
///
/// If the file system cannot do that, they grow as needed.
fn reserve_disk_space(connection: &Connection, path: &Path, index: Option<&Index>) {
    if let Err(error) =
        exempt_log(connection, path).and_then(|()| index.map_or(Ok(()), Index::reserve))
    {
        tracing::debug!(%error, "cannot reserve disk space for the index of the database's log");
    }
    // SQLite holds no lock on the log itself, so it may be opened and closed
    let log = OpenOptions::new().write(true).open(beside(path, "-wal"));
    if let Err(error) = log.and_then(|log| reserve_log(&log)) {
        tracing::debug!(%error, "cannot reserve disk space for the log of the database");
    }
}
