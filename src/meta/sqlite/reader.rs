//! Reading: point reads in place, scans on blocking threads.
//!
//! A caller says which of the two a read is by what it passes to [`Meta::read`](crate::meta::Meta::read): [`point`] or [`scan`]. A point
//! read looks up a few rows by key and takes microseconds, so the calling worker runs it itself; its closure may borrow
//! and nothing is allocated for it. Everything else is a scan and runs on a blocking thread. The types keep them apart: a
//! point read gets a [`PointReader`], which has no query that takes longer.
//!
//! Scans have connections of their own, so that they never keep a point read waiting. A scan waits for its connection
//! before it occupies a thread, and for a few seconds only.
//!
//! A reader is no transaction: each of its queries sees the last commit. A transaction around a long report would keep
//! the log from being checkpointed, and the log would grow.

use std::ops::Deref;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::time::timeout;

use crate::meta::error::Error;
use crate::meta::sqlite::pool::{POOL_TIMEOUT, Pools};
use crate::threads::blocking;

/// A connection for look-ups of a few rows by key.
pub struct PointReader<'c> {
    pub(in crate::meta) connection: &'c Connection,
}

/// A connection for any query.
pub struct Reader<'c>(PointReader<'c>);

impl<'c> Reader<'c> {
    pub(in crate::meta) fn new(connection: &'c Connection) -> Self {
        Self(PointReader { connection })
    }
}

impl<'c> Deref for Reader<'c> {
    type Target = PointReader<'c>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl PointReader<'_> {
    /// Runs a query that consists of several calls into SQLite.
    pub(in crate::meta) fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        Ok(query(self.connection)?)
    }
}

/// A read, ready to be run by [`Meta::read`](crate::meta::Meta::read).
pub trait Read {
    type Output;

    fn run(self, pools: &Pools) -> impl Future<Output = Result<Self::Output, Error>> + Send;
}

/// A read of a few rows by key.
pub struct Point<F>(F);

/// A read that may take long.
pub struct Scan<F>(F);

/// A read of a few rows by key, to be answered in place.
pub fn point<T, F>(query: F) -> Point<F>
where
    F: FnOnce(&PointReader<'_>) -> Result<T, Error> + Send,
{
    Point(query)
}

/// A read that may take long, to be run on a blocking thread.
pub fn scan<T, F>(query: F) -> Scan<F>
where
    T: Send + 'static,
    F: FnOnce(&Reader<'_>) -> Result<T, Error> + Send + 'static,
{
    Scan(query)
}

impl<T, F> Read for Point<F>
where
    F: FnOnce(&PointReader<'_>) -> Result<T, Error> + Send,
{
    type Output = T;

    async fn run(self, pools: &Pools) -> Result<T, Error> {
        let connection = pools.points.connection()?;
        (self.0)(&PointReader {
            connection: &connection,
        })
    }
}

impl<T, F> Read for Scan<F>
where
    T: Send + 'static,
    F: FnOnce(&Reader<'_>) -> Result<T, Error> + Send + 'static,
{
    type Output = T;

    async fn run(self, pools: &Pools) -> Result<T, Error> {
        let (scans, permits) = (pools.scans.clone(), Arc::clone(&pools.scan_permits));
        let permit = timeout(POOL_TIMEOUT, permits.acquire_owned())
            .await
            .map_err(|_| Error::Exhausted("all of them are used by long reads".to_owned()))?;
        blocking::run(move || {
            let _permit = permit;
            (self.0)(&Reader::new(&*scans.connection()?))
        })
        .await
        .map_err(|error| Error::Interrupted(error.to_string()))?
    }
}
