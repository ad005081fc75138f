//! Pools of connections that read.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use scheduled_thread_pool::ScheduledThreadPool;
use tokio::sync::Semaphore;

use crate::meta::error::Error;
use crate::meta::sqlite::locks::wait_for_others;

/// Prepared statements kept per connection. A push needs 32 of them, collection and deliveries about as many more.
pub(super) const STATEMENT_CACHE: usize = 128;

/// Maximum time for which a read waits for a free connection.
pub(in crate::meta) const POOL_TIMEOUT: Duration = Duration::from_secs(5);

/// Minimum number of connections for scans.
const MIN_SCANS: usize = 4;

/// Read-only connections that keep their page and statement caches for life.
#[derive(Clone)]
pub(in crate::meta) struct Pool(r2d2::Pool<SqliteConnectionManager>);

impl Pool {
    /// Opens at most `size` connections, and `ready` of them now; others once they are needed.
    fn open(
        path: &Path,
        size: u32,
        ready: u32,
        threads: &Arc<ScheduledThreadPool>,
    ) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let manager = SqliteConnectionManager::file(path)
            .with_flags(flags)
            .with_init(|connection| {
                connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
                connection.busy_handler(Some(wait_for_others))?;
                plan_once(connection)?;
                connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048;")
            });
        r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(ready))
            .thread_pool(Arc::clone(threads))
            .max_lifetime(None)
            .idle_timeout(None)
            .connection_timeout(POOL_TIMEOUT)
            .test_on_check_out(false)
            .build(manager)
            .map(Self)
            .map_err(|error| Error::unopened(path, error))
    }

    /// Waits for a free connection, for at most five seconds.
    pub(in crate::meta) fn connection(
        &self,
    ) -> Result<impl Deref<Target = Connection> + Send, Error> {
        self.0
            .get()
            .map_err(|error| Error::Exhausted(error.to_string()))
    }
}

/// Has statements planned once, whatever values are bound to them.
///
/// Else SQLite looks at the values, and so parses a statement with `LIMIT ?1` again each time that it is run.
pub(super) fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    let guarantee = DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;
    connection.set_db_config(guarantee, true).map(drop)
}

/// The connections for reads.
#[derive(Clone)]
pub struct Pools {
    /// For point reads, which run on the async workers and the thread that delivers events: one connection for each.
    pub(in crate::meta) points: Pool,
    /// For scans, which run on blocking threads.
    pub(in crate::meta) scans: Pool,
    /// One permit per connection for scans, so that a scan waits for its connection without a thread.
    pub(in crate::meta) scan_permits: Arc<Semaphore>,
}

impl Pools {
    pub(in crate::meta) fn open(path: &Path) -> Result<Self, Error> {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let scans = workers.max(MIN_SCANS);
        let size = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let threads = ScheduledThreadPool::builder().num_threads(1);
        let threads = Arc::new(threads.thread_name_pattern("connections").build());
        // the first burst of requests does not wait for connections, but each costs memory
        let points = size(workers + 1);
        Ok(Self {
            points: Pool::open(path, points, points, &threads)?,
            scans: Pool::open(path, size(scans), 1, &threads)?,
            scan_permits: Arc::new(Semaphore::new(scans)),
        })
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_parsed_once_whatever_is_bound_to_it() {
        let connection = Connection::open_in_memory().expect("a database");
        plan_once(&connection).expect("it is set");
        let table = "CREATE TABLE numbers (number INTEGER PRIMARY KEY)";
        connection.execute_batch(table).expect("a table");
        let query = "SELECT number FROM numbers WHERE number > ?1 LIMIT ?2";
        let mut statement = connection.prepare(query).expect("a statement");
        for limit in 0..10 {
            let mut rows = statement.query([limit, limit]).expect("rows");
            assert!(rows.next().expect("an end").is_none());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
