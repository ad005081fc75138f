//! State shared by all clients of one campaign.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tarkeep::registry::{Registry, RegistrySettings};

use super::caches::Caches;
use super::content::Stock;
use super::journal::Journal;
use super::process::ServerProcess;
use super::repository::Repository;
use super::retention::{Retention, Slack};
use crate::crash::random::Random;
use crate::support::Server;
use crate::support::hub::Hub;

/// Minimum number of requests for cached content that was certainly here, and of those that fetched some.
const CACHED: u64 = 50;
const FETCHED: u64 = 200;

#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts of operations; a run with too few proves nothing.
#[derive(Default)]
pub struct Counts {
    pub requests: Count,
    pub collections: Count,
    pub kills: Count,
    /// Pushes as by docker, and those slow enough that they might have failed.
    pub pushes: Count,
    pub late: Count,
    pub expiry_races: Count,
    pub concurrent_changes: Count,
    pub restores: Count,
    pub refused_restores: Count,
    /// Collections of deleted content.
    pub undo_ends: Count,
    /// Objects found absent after their promise ended.
    pub absent: Count,
    /// Requests for cached content that was certainly here, and those that fetched some.
    pub cached: Count,
    pub fetched: Count,
}

impl Counts {
    /// Reports whether caches were used enough, which takes time rather than operations: content goes by its age.
    pub fn have_caches(&self) -> bool {
        self.cached.get() >= CACHED && self.fetched.get() >= FETCHED
    }

    /// Panics if too few operations of a kind happened.
    pub fn check(&self) {
        let enough = [
            (&self.collections, 20),
            (&self.kills, 2),
            (&self.expiry_races, 50),
            (&self.concurrent_changes, 10),
            (&self.restores, 10),
            (&self.undo_ends, 5),
            (&self.absent, 50),
            (&self.cached, CACHED),
            (&self.fetched, FETCHED),
        ];
        assert!(
            enough.iter().all(|(count, least)| count.get() >= *least),
            "too few operations to count: {self}"
        );
        assert!(
            self.late.get() * 3 < self.pushes.get(),
            "the machine is too busy, most pushes prove nothing: {self}"
        );
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            requests,
            collections,
            kills,
            pushes,
            late,
            expiry_races,
            concurrent_changes,
            restores,
            refused_restores,
            undo_ends,
            absent,
            cached,
            fetched,
        } = self;
        let [cached, fetched] = [cached, fetched].map(Count::get);
        let [requests, collections, kills, pushes, late] =
            [requests, collections, kills, pushes, late].map(Count::get);
        let [
            expiry_races,
            concurrent_changes,
            restores,
            refused,
            undo_ends,
            absent,
        ] = [
            expiry_races,
            concurrent_changes,
            restores,
            refused_restores,
            undo_ends,
            absent,
        ]
        .map(Count::get);
        write!(
            f,
            "{requests} requests, {collections} collections, {kills} kills, {pushes} pushes ({late} late), {expiry_races} expiry races, {concurrent_changes} concurrent changes, \
             {restores} restores (and {refused} refused), {undo_ends} ends of undo, {absent} found absent, {cached} from caches and {fetched} fetched"
        )
    }
}

pub struct Campaign {
    pub retention: Retention,
    pub slack: Arc<Slack>,
    pub stock: Stock,
    pub directory: PathBuf,
    pub process: ServerProcess,
    pub journal: Journal,
    pub counts: Counts,
    /// The library on the same directory, for operations without an HTTP API.
    pub registry: Registry,
    pub repositories: Vec<Mutex<Repository>>,
    pub caches: Caches,
    runtime: tokio::runtime::Runtime,
    /// Name of the campaign in messages.
    name: String,
    stopped: Mutex<bool>,
    stopping: Condvar,
    is_broken: AtomicBool,
}

impl Campaign {
    /// Creates the state for a running server, with repositories for workers and for clients at
    /// expiry.
    pub fn new(
        name: String,
        seed: u64,
        retention: Retention,
        (server, hub): (&Server, Arc<Hub>),
        repositories: usize,
        racers: usize,
    ) -> Self {
        let forever = Instant::now() + Duration::from_secs(365 * 24 * 3600);
        let slack = Arc::new(Slack::new(&retention));
        let repository = |number| {
            Repository::new(
                format!("model/r{number}"),
                retention,
                Arc::clone(&slack),
                forever,
            )
        };
        let repositories = (0..repositories + racers)
            .map(repository)
            .map(Mutex::new)
            .collect();
        let stock = Stock::new(seed, racers as u64);
        Self {
            retention,
            slack,
            caches: Caches::new(hub, &stock, Random::part(seed, 500)),
            stock,
            directory: server.directory().to_owned(),
            process: ServerProcess::new(server.address()),
            journal: Journal::new(),
            counts: Counts::default(),
            registry: Registry::open_existing(server.directory(), RegistrySettings::default())
                .expect("the server's directory"),
            repositories,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime"),
            name,
            stopped: Mutex::new(false),
            stopping: Condvar::new(),
            is_broken: AtomicBool::new(false),
        }
    }

    pub fn lock(&self, number: usize) -> MutexGuard<'_, Repository> {
        self.repositories[number]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops all threads.
    pub fn stop(&self) {
        *self.stopped() = true;
        self.stopping.notify_all();
    }

    pub fn is_stopped(&self) -> bool {
        *self.stopped()
    }

    /// Waits for a time or for the stop; returns true if stopped.
    pub fn rest(&self, time: Duration) -> bool {
        let (stopped, _) = self
            .stopping
            .wait_timeout_while(self.stopped(), time, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *stopped
    }

    /// Runs an operation of the library.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Total number of operations.
    pub fn operations(&self) -> u64 {
        self.counts.requests.get()
            + self.counts.collections.get()
            + self.counts.restores.get()
            + self.counts.refused_restores.get()
    }

    /// Reports a violated rule with the history of the objects concerned, and ends the test.
    pub fn violated(&self, words: &[&str], message: &str) -> ! {
        // only the first violation matters; others follow from it
        if !self.is_broken.swap(true, Ordering::SeqCst) {
            let now = self.journal.seconds(Instant::now());
            eprintln!(
                "{}, {:?}\nat {now}: {message}\n{}",
                self.name,
                self.retention,
                self.journal.about(words)
            );
        }
        self.stop();
        panic!("{message}");
    }
}
