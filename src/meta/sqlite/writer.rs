//! The only thread of this process that changes the database: group commit.
//!
//! Changes queue up while a commit is being synced; the next transaction takes all of them. Each runs inside its own
//! savepoint, so that a failing one rolls back nothing but itself. Then the files that they published are made durable,
//! once for all of them, and the transaction is committed with one sync of the log. Only then are the callers answered.
//! A failing commit fails them all.
//!
//! A change that may be lost in a power failure, because it would be made again, needs no sync: it is visible at once,
//! and durable with the next durable change or with [`Meta::sync`](crate::meta::Meta::sync). One that nobody waits for may
//! also wait itself, for a transaction that it can go along with: it then costs no transaction of its own while there are others.
//!
//! The transaction is `IMMEDIATE`: from its first change to its commit it holds the database's write lock, which is
//! the only lock there is, between threads and between processes.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::meta::error::Error;
use crate::meta::outbox::memory::OutboxMemory;
use crate::meta::sqlite::copy_on_write::SharedIndex;
use crate::meta::sqlite::locks::has_waited;
use crate::meta::sqlite::reader::Reader;
use crate::meta::stats::Stats;

/// Maximum number of changes in one commit, so that the first of them does not wait for ever.
const BATCH_LIMIT: usize = 256;
/// Pause after a lazy transaction, for other processes to get the lock: longer than the pause between their attempts.
const LAZY_PAUSE: Duration = Duration::from_micros(300);
/// Period for which another writer is assumed to be active after its last change.
const ACTIVE_PERIOD: Duration = Duration::from_secs(1);
/// Maximum time for which a change waits for others to go along with.
const COMPANY_TIME: Duration = Duration::from_millis(500);
/// Length of the log at which the database is checkpointed, in pages of 4 KiB.
const CHECKPOINT_PAGES: i64 = 1000;

/// Runs in the writer's thread before each durable commit, to make the files durable that the commit will promise.
pub type BeforeCommit = Box<dyn Fn() -> std::io::Result<()> + Send>;

/// The moment from which a change is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meta) enum Durability {
    /// Once it is on disk.
    Durable,
    /// Once it is committed: a power failure may undo it until a durable change follows.
    Lazy,
    /// As `Lazy`, and it may wait for another change, to share its transaction.
    Patient,
}

/// Load of the database by other writers, in this very transaction or in another process just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meta) enum Contention {
    Idle,
    Contended,
}

/// The inside of one change: runs alone, sees the changes queued before it, and is all committed or not at all.
pub struct WriteTx<'c> {
    reader: Reader<'c>,
    contention: Contention,
    pub(in crate::meta) outbox: &'c OutboxMemory,
}

impl<'c> WriteTx<'c> {
    pub(in crate::meta) fn new(
        connection: &'c Connection,
        contention: Contention,
        outbox: &'c OutboxMemory,
    ) -> Self {
        Self {
            reader: Reader::new(connection),
            contention,
            outbox,
        }
    }

    /// True if others change the database too, in this very transaction or in another process just now.
    ///
    /// Changes that no client waits for should then leave them time.
    pub fn is_contended(&self) -> bool {
        self.contention == Contention::Contended
    }

    /// Runs `work` in a savepoint, and rolls it back if it fails.
    pub fn attempt<T, E: From<Error>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let run = |sql: &str| run(self.connection, sql).map_err(Error::from);
        run("SAVEPOINT attempt")?;
        let outcome = work();
        if outcome.is_err() {
            run("ROLLBACK TO attempt")?;
        }
        run("RELEASE attempt")?;
        outcome
    }
}

impl<'c> Deref for WriteTx<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Self::Target {
        &self.reader
    }
}

/// The queue of the writer's thread.
pub(in crate::meta) struct Writer {
    queue: Option<Sender<Box<dyn Job>>>,
    stats: Arc<Stats>,
    thread: Option<JoinHandle<()>>,
}

/// A queued change: run inside the transaction, then told the outcome of the commit.
trait Job: Send {
    /// Runs the change; returns false if it is to be rolled back.
    fn run(&mut self, transaction: &WriteTx<'_>) -> bool;
    fn durability(&self) -> Durability;
    fn finish(self: Box<Self>, commit: Result<(), Error>);
}

struct Change<T, E, F> {
    change: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
    durability: Durability,
}

impl<T, E, F> Job for Change<T, E, F>
where
    T: Send,
    E: From<Error> + Send,
    F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, transaction: &WriteTx<'_>) -> bool {
        let Some(change) = self.change.take() else {
            return false;
        };
        // a panic in one change must not end the writer, and with it every later change
        self.result = catch_unwind(AssertUnwindSafe(|| change(transaction))).ok();
        matches!(self.result, Some(Ok(_)))
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn finish(self: Box<Self>, commit: Result<(), Error>) {
        let result = match (self.result, commit) {
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (Some(done), Ok(())) => done,
            (None, Ok(())) => Err(Error::Commit("the change panicked".to_owned()).into()),
        };
        // the receiver is gone if the client is; the change stands all the same
        let _ = self.reply.send(result);
    }
}

impl Writer {
    pub(in crate::meta) fn start(
        connection: Connection,
        index: SharedIndex,
        before_commit: BeforeCommit,
        stats: Arc<Stats>,
        events: watch::Sender<()>,
    ) -> Self {
        let (queue, jobs) = channel();
        let worker = Worker {
            connection,
            index,
            jobs,
            before_commit,
            stats: Arc::clone(&stats),
            others: Others::default(),
            outbox: OutboxMemory::default(),
            events,
            patient: Vec::new(),
            patient_since: None,
            synchronous: None,
        };
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || worker.run());
        Self {
            queue: Some(queue),
            stats,
            thread: thread.ok(),
        }
    }

    /// Queues a change; `reply` is dropped if the writer has stopped.
    pub(in crate::meta) fn submit<T, E, F>(
        &self,
        change: F,
        durability: Durability,
        reply: oneshot::Sender<Result<T, E>>,
    ) where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let job = Change {
            change: Some(change),
            result: None,
            reply,
            durability,
        };
        if let Some(queue) = &self.queue {
            self.stats.queued.add(1);
            // if the thread has ended, the job is dropped, and its reply with it
            let _ = queue.send(Box::new(job));
        }
    }
}

impl Drop for Writer {
    /// Waits until the queued changes are done.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The writer's thread.
struct Worker {
    connection: Connection,
    index: SharedIndex,
    jobs: Receiver<Box<dyn Job>>,
    before_commit: BeforeCommit,
    stats: Arc<Stats>,
    others: Others,
    outbox: OutboxMemory,
    /// Told of each commit with new events.
    events: watch::Sender<()>,
    /// Changes that wait for others.
    patient: Vec<Box<dyn Job>>,
    /// Time from which the first of them has waited.
    patient_since: Option<Instant>,
    /// Durability that the connection is set to; `None` if unknown.
    synchronous: Option<Durability>,
}

impl Worker {
    fn run(mut self) {
        loop {
            let (unshare, company) = (self.index.interval(), self.company_left());
            match self.jobs.recv_timeout(unshare.min(company)) {
                Ok(job) if job.durability() == Durability::Patient => self.set_aside(job),
                Ok(first) => self.run_batch(Some(first)),
                Err(RecvTimeoutError::Timeout) if company < unshare => {}
                Err(RecvTimeoutError::Timeout) => self.index.unshare(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.company_left().is_zero() {
                self.run_batch(None);
            }
        }
        if !self.patient.is_empty() {
            self.run_batch(None);
        }
    }

    /// Keeps a change until another one comes.
    fn set_aside(&mut self, job: Box<dyn Job>) {
        self.patient.push(job);
        self.patient_since.get_or_insert_with(Instant::now);
    }

    /// Time until the changes that wait for others go alone.
    fn company_left(&self) -> Duration {
        self.patient_since.map_or(Duration::MAX, |since| {
            COMPANY_TIME.saturating_sub(since.elapsed())
        })
    }

    /// Runs all queued changes in one transaction, and answers them.
    fn run_batch(&mut self, first: Option<Box<dyn Job>>) {
        self.patient_since = None;
        let patient = std::mem::take(&mut self.patient);
        let mut pending: Vec<_> = first.into_iter().chain(patient).collect();
        let room = BATCH_LIMIT.saturating_sub(pending.len());
        pending.extend(self.jobs.try_iter().take(room));
        let is_durable = pending
            .iter()
            .any(|job| job.durability() == Durability::Durable);
        let durability = if is_durable {
            Durability::Durable
        } else {
            Durability::Lazy
        };
        let start = Instant::now();
        let outcome = self.transact(&mut pending, durability);
        self.stats.batches.observe(pending.len() as u64);
        match durability {
            Durability::Durable => self.stats.transactions.observe_time(start.elapsed()),
            Durability::Lazy | Durability::Patient => self.stats.lazy_commits.add(1),
        }
        if let Err(error) = &outcome {
            self.stats.failed_commits.add(1);
            tracing::error!(changes = pending.len(), %error, "commit failed");
        }
        self.stats
            .queued
            .add(-i64::try_from(pending.len()).unwrap_or_default());
        for job in pending {
            job.finish(outcome.clone());
        }
        if durability == Durability::Lazy {
            std::thread::sleep(LAZY_PAUSE);
        }
        checkpoint(&self.connection);
    }

    /// Begins a transaction. `synchronous` cannot be set inside one.
    fn begin(&mut self, durability: Durability) -> rusqlite::Result<()> {
        if self.synchronous != Some(durability) {
            self.synchronous = None;
            self.connection.execute_batch(match durability {
                Durability::Durable => "PRAGMA synchronous = FULL",
                Durability::Lazy | Durability::Patient => "PRAGMA synchronous = NORMAL",
            })?;
            self.synchronous = Some(durability);
        }
        run(&self.connection, "BEGIN IMMEDIATE")
    }

    /// Runs `pending` in one transaction, and adds the changes that arrive meanwhile to it.
    fn transact(
        &mut self,
        pending: &mut Vec<Box<dyn Job>>,
        durability: Durability,
    ) -> Result<(), Error> {
        let mut outcome = self.begin(durability).map_err(Error::from);
        let others = &mut self.others;
        let contention = others.contention(&self.connection, &self.outbox, durability);
        let transaction = WriteTx::new(&self.connection, contention, &self.outbox);
        let (mut next, mut kept) = (0, 0);
        loop {
            // what arrives meanwhile joins, unless it needs a sync that will not happen
            if next == pending.len() && next < BATCH_LIMIT && durability == Durability::Durable {
                pending.extend(self.jobs.try_recv());
            }
            let Some(job) = pending.get_mut(next) else {
                break;
            };
            next += 1;
            if outcome.is_ok() {
                match run_in_savepoint(&transaction, job.as_mut()) {
                    Ok(keep) => kept += usize::from(keep),
                    Err(error) => outcome = Err(error.into()),
                }
            }
        }
        let is_durable = durability == Durability::Durable;
        if outcome.is_ok() && kept > 0 && is_durable {
            outcome = self
                .stats
                .directory_syncs
                .time(&self.before_commit)
                .map_err(|error| {
                    Error::Commit(format!("cannot sync a directory of blobs: {error}"))
                });
        }
        if outcome.is_ok() {
            let start = Instant::now();
            outcome = run(&self.connection, "COMMIT").map_err(Error::from);
            if is_durable {
                self.stats.commits.observe_time(start.elapsed());
            }
        }
        match (self.outbox.take_told(), outcome.is_ok()) {
            (_, false) => self.outbox.forget(),
            (true, true) => drop(self.events.send(())),
            (false, true) => {}
        }
        if outcome.is_err() && !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        outcome
    }
}

/// Other writers: another process, or a change of this process that a client waits for.
#[derive(Default)]
struct Others {
    /// Changed by commits of other connections, but not by those of this one.
    data_version: Option<i64>,
    last_seen: Option<Instant>,
}

impl Others {
    /// Reports whether other writers are active. Call it inside each transaction.
    fn contention(
        &mut self,
        connection: &Connection,
        outbox: &OutboxMemory,
        durability: Durability,
    ) -> Contention {
        let version = connection
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut query| query.query_row([], |row| row.get(0)))
            .ok();
        let has_changed = std::mem::replace(&mut self.data_version, version)
            .is_some_and(|before| Some(before) != version);
        if has_changed {
            outbox.forget();
        }
        if has_waited() || has_changed || durability == Durability::Durable {
            self.last_seen = Some(Instant::now());
        }
        match self.last_seen {
            Some(seen) if seen.elapsed() < ACTIVE_PERIOD => Contention::Contended,
            _ => Contention::Idle,
        }
    }
}

/// Runs a statement that is parsed once only.
fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn run_in_savepoint(transaction: &WriteTx<'_>, job: &mut dyn Job) -> rusqlite::Result<bool> {
    let connection = transaction.connection;
    run(connection, "SAVEPOINT change")?;
    let keep = job.run(transaction);
    if !keep {
        run(connection, "ROLLBACK TO change")?;
    }
    run(connection, "RELEASE change")?;
    Ok(keep)
}

/// Checkpoints the database once its log is long enough.
///
/// Nothing is written meanwhile, so the checkpoint is complete and the next transaction starts the log from its beginning:
/// the file does not grow, and its syncs touch no metadata.
fn checkpoint(connection: &Connection) {
    let pages = connection
        .prepare_cached("PRAGMA wal_checkpoint(NOOP)")
        .and_then(|mut query| query.query_row([], |row| row.get::<_, i64>(1)));
    if pages.is_ok_and(|pages| pages >= CHECKPOINT_PAGES)
        && let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    {
        tracing::warn!(%error, "cannot checkpoint the database; retrying after the next commit");
    }
}
