//! How connections to the database are opened: one that writes, and pools that read.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::{Error, Fault};

/// Marks the file as ours, for `file(1)` and against mistaken paths: "oreg".
const APPLICATION_ID: i32 = 0x6f72_6567;

/// How a writer waits for another process on the same directory: looking often, for a change takes a millisecond or two,
/// and less often once that has not helped. SQLite's own handler waits longer each time, and so for many times as long as
/// the other one works.
const BUSY_PAUSE: Duration = Duration::from_micros(50);
const BUSY_SOON: i32 = 200;
const BUSY_LONG_PAUSE: Duration = Duration::from_millis(1);
/// A minute, about.
const BUSY_TRIES: i32 = 60_000;

/// How often, and how far apart, a start is tried that another one is in the way of.
const START_TRIES: u32 = 500;
const START_PAUSE: Duration = Duration::from_millis(10);

/// What the log usually needs, and half as much again, in bytes.
const LOG_RESERVE: u64 = 6 << 20;

/// Statements each connection keeps prepared; more than this module has.
const STATEMENT_CACHE: usize = 64;

/// In number order; an applied one never changes.
const MIGRATIONS: [&str; 4] = [
    include_str!("../../migrations/01-initial.sql"),
    include_str!("../../migrations/02-upload-progress.sql"),
    include_str!("../../migrations/03-collection.sql"),
    include_str!("../../migrations/04-upload-hash-state.sql"),
];

/// Read-only connections that keep their page and statement caches for life.
#[derive(Clone)]
pub(super) struct Pool(r2d2::Pool<SqliteConnectionManager>);

impl Pool {
    /// Opens all `size` connections at once: the first burst of requests must not wait for them.
    pub(super) fn open(path: &Path, size: usize) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let manager = SqliteConnectionManager::file(path)
            .with_flags(flags)
            .with_init(|connection| {
                connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
                connection.busy_handler(Some(wait_for_others))?;
                connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048;")
            });
        r2d2::Pool::builder()
            .max_size(u32::try_from(size).unwrap_or(u32::MAX))
            .max_lifetime(None)
            .idle_timeout(None)
            .connection_timeout(Duration::from_secs(5))
            .test_on_check_out(false)
            .build(manager)
            .map(Self)
            .map_err(|error| open_error(path, error))
    }

    /// Waits for a free connection, for at most five seconds.
    pub(super) fn connection(&self) -> Result<impl Deref<Target = Connection> + Send, Error> {
        self.0
            .get()
            .map_err(|error| Error::Exhausted(error.to_string()))
    }
}

/// Opens the one connection of this process that writes, with a schema that is up to date.
///
/// Tried again where another process is doing the same: SQLite does not wait for others while it has a lock itself that
/// they may wait for, as when a new database gets its log.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Error> {
    for _ in 0..START_TRIES {
        match try_open_writer(path) {
            Err(error) if error.is(Fault::Busy) => std::thread::sleep(START_PAUSE),
            other => return other,
        }
    }
    try_open_writer(path)
}

fn try_open_writer(path: &Path) -> Result<Connection, Error> {
    // made here, so that it is born private; SQLite gives -wal and -shm the same mode
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| open_error(path, error))?;
    let mut connection = Connection::open(path).map_err(|error| open_error(path, error))?;
    connection.busy_handler(Some(wait_for_others))?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    check_owner(&connection, path)?;
    if is_new(&connection)? {
        // only a database without a page can be told
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
    migrate(&mut connection)?;
    // what takes back a savepoint is then kept in memory, and a file beyond 64 KiB of it otherwise: half the work of a change
    connection.execute_batch("PRAGMA temp_store = MEMORY")?;
    reserve_log(path);
    Ok(connection)
}

/// Takes disk for the log ahead of need, so that something can be deleted, and its room won back, on a disk that others
/// have filled. Where that is not possible, or not known to the file system, the log grows as it must.
fn reserve_log(path: &Path) {
    // no lock of SQLite's is on the log itself, so it may be opened and closed
    let log = OpenOptions::new().write(true).open(beside(path, "-wal"));
    let reserved = log.map(|log| {
        rustix::fs::fallocate(log, rustix::fs::FallocateFlags::KEEP_SIZE, 0, LOG_RESERVE)
    });
    if !matches!(reserved, Ok(Ok(()))) {
        tracing::debug!("no disk could be taken for the log ahead of need");
    }
}

thread_local! {
    static HAS_WAITED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread has waited for another process since it asked last.
pub(super) fn has_waited() -> bool {
    HAS_WAITED.replace(false)
}

fn wait_for_others(tries: i32) -> bool {
    HAS_WAITED.set(true);
    std::thread::sleep(if tries < BUSY_SOON {
        BUSY_PAUSE
    } else {
        BUSY_LONG_PAUSE
    });
    tries < BUSY_TRIES
}

/// Refuses files of others before anything is changed in them.
fn check_owner(connection: &Connection, path: &Path) -> Result<(), Error> {
    let foreign = || Error::Foreign(path.display().to_string());
    // one snapshot, lest another process's first migration falls between the questions
    let connection = &connection.unchecked_transaction()?;
    let pragma = |name: &str| {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
    };
    let owner = match pragma("application_id") {
        Ok(owner) => owner,
        Err(cause) => {
            return Err(match Error::from(cause) {
                error if error.is(Fault::Foreign) => foreign(),
                error if error.is(Fault::Busy) => error,
                Error::Database { message, .. } => open_error(path, message),
                error => error,
            });
        }
    };
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if owner != i64::from(APPLICATION_ID) && (owner != 0 || objects > 0) {
        return Err(foreign());
    }
    let found = pragma("user_version")?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(Error::TooNew {
            path: path.display().to_string(),
            found,
            known,
        });
    }
    Ok(())
}

/// Judges a database by its header (SQLite's file format, 1.3), as far as that goes. What the log has is not looked at: the
/// version in it is no older.
pub(super) fn check_header(path: &Path) -> Result<(), Error> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut header = Vec::new();
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .open(path)
        .map_err(|error| open_error(path, error))?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 100), &mut header)
        .map_err(|error| open_error(path, error))?;
    let number = |place: usize| {
        header
            .get(place..place + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(i32::from_be_bytes)
    };
    let (Some(found), Some(owner)) = (number(60), number(68)) else {
        // nothing was ever written, or nothing of ours
        return if header.is_empty() {
            Ok(())
        } else {
            Err(Error::Foreign(path.display().to_string()))
        };
    };
    if !header.starts_with(MAGIC) || (owner != APPLICATION_ID && (owner != 0 || found != 0)) {
        return Err(Error::Foreign(path.display().to_string()));
    }
    let known = MIGRATIONS.len() as i64;
    if i64::from(found) > known {
        return Err(Error::TooNew {
            path: path.display().to_string(),
            found: found.into(),
            known,
        });
    }
    Ok(())
}

fn is_new(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))
        .map(|pages| pages == 0)
}

/// Applies what is missing in one transaction. Of two processes that start on an empty directory at once,
/// the second waits for the lock and finds the work done.
fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == MIGRATIONS.len() as i64 {
        // up to date: no need to wait for whoever is writing
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (number, sql) in (1_i64..)
        .zip(MIGRATIONS)
        .filter(|(number, _)| *number > version)
    {
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    Ok(transaction.commit()?)
}

/// One of SQLite's own files, which are beside the one that a link leads to.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path
        .canonicalize()
        .unwrap_or_else(|_| path.to_owned())
        .into_os_string();
    name.push(suffix);
    name.into()
}

fn open_error(path: &Path, cause: impl std::fmt::Display) -> Error {
    Error::Open {
        path: path.display().to_string(),
        cause: cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_others_and_of_the_future_are_left_alone_and_those_of_the_past_brought_up_to_date() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().join("text");
        std::fs::write(
            &text,
            "not a database, but long enough to be looked at as one: ".repeat(40),
        )
        .unwrap();
        assert!(
            matches!(open_writer(&text), Err(Error::Foreign(_)))
                && matches!(check_header(&text), Err(Error::Foreign(_)))
        );

        let other = directory.path().join("other");
        Connection::open(&other)
            .unwrap()
            .execute_batch("CREATE TABLE theirs (x)")
            .unwrap();
        assert!(matches!(open_writer(&other), Err(Error::Foreign(_))));

        let old = directory.path().join("old");
        let connection = Connection::open(&old).unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        connection
            .execute_batch(&format!(
                "PRAGMA user_version = 1; PRAGMA application_id = {APPLICATION_ID}"
            ))
            .unwrap();
        connection
            .execute_batch("INSERT INTO uploads VALUES ('id', 'a', 'sha256', 1, 2)")
            .unwrap();
        drop(connection);
        let progress = |row: &rusqlite::Row<'_>| {
            Ok((
                row.get::<_, Option<u64>>("received")?,
                row.get::<_, Option<Vec<u8>>>("hash_state")?,
            ))
        };
        check_header(&old).unwrap();
        assert_eq!(
            open_writer(&old)
                .unwrap()
                .query_row("SELECT * FROM uploads", [], progress),
            Ok((None, None))
        );
        check_header(&old).unwrap();

        let future = directory.path().join("future");
        open_writer(&future)
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        assert!(matches!(
            open_writer(&future),
            Err(Error::TooNew { found: 99, .. })
        ));
        assert!(matches!(
            check_header(&future),
            Err(Error::TooNew { found: 99, .. })
        ));
        let empty = directory.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        check_header(&empty).unwrap();
    }
}
