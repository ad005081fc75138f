//! State shared by all clients of one campaign.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tarkeep::registry::{Registry, RegistrySettings};

use super::content::Stock;
use super::journal::Journal;
use super::life::Life;
use super::repository::Repository;
use super::terms::{Slack, Terms};
use crate::support::Server;

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

/// Counts of what happened, so that a run that did too little is no evidence.
#[derive(Default)]
pub struct Counts {
    pub requests: Count,
    pub collections: Count,
    pub kills: Count,
    /// Pushes as docker's, and those of them that took so long that they might have failed.
    pub pushes: Count,
    pub late: Count,
    pub strikes: Count,
    pub duels: Count,
    pub restores: Count,
    pub refused_restores: Count,
    /// Things found to have gone once they were no longer promised.
    pub gone: Count,
}

impl Counts {
    /// Fails where too little happened of what is to be looked at.
    pub fn check(&self) {
        let enough = [
            (&self.collections, 20),
            (&self.kills, 2),
            (&self.strikes, 50),
            (&self.duels, 10),
            (&self.restores, 10),
            (&self.gone, 50),
        ];
        assert!(
            enough.iter().all(|(count, least)| count.get() >= *least),
            "too little of an experiment: {self}"
        );
        assert!(
            self.late.get() * 3 < self.pushes.get(),
            "on a machine this busy most pushes prove nothing: {self}"
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
            strikes,
            duels,
            restores,
            refused_restores,
            gone,
        } = self;
        let [requests, collections, kills, pushes, late] =
            [requests, collections, kills, pushes, late].map(Count::get);
        let [strikes, duels, restores, refused, gone] =
            [strikes, duels, restores, refused_restores, gone].map(Count::get);
        write!(
            f,
            "{requests} requests, {collections} collections, {kills} kills, {pushes} pushes ({late} late), {strikes} strikes, {duels} duels, \
             {restores} restores (and {refused} refused), {gone} found gone"
        )
    }
}

pub struct World {
    pub terms: Terms,
    pub slack: Arc<Slack>,
    pub stock: Stock,
    pub directory: PathBuf,
    pub life: Life,
    pub journal: Journal,
    pub counts: Counts,
    /// For what has no HTTP: a process of its own beside the server, as a command would be.
    pub registry: Registry,
    pub repositories: Vec<Mutex<Repository>>,
    runtime: tokio::runtime::Runtime,
    /// By which it can be told from others.
    name: String,
    stopped: Mutex<bool>,
    stopping: Condvar,
    is_broken: AtomicBool,
}

impl World {
    /// Around a server that is running, with so many repositories for workers and for hunters.
    pub fn new(
        name: String,
        seed: u64,
        terms: Terms,
        server: &Server,
        repositories: usize,
        hunters: usize,
    ) -> Self {
        let forever = Instant::now() + Duration::from_secs(365 * 24 * 3600);
        let slack = Arc::new(Slack::new(&terms));
        let repository = |number| {
            Repository::new(
                format!("model/r{number}"),
                terms,
                Arc::clone(&slack),
                forever,
            )
        };
        let repositories = (0..repositories + hunters)
            .map(repository)
            .map(Mutex::new)
            .collect();
        Self {
            terms,
            slack,
            stock: Stock::new(seed, hunters as u64),
            directory: server.directory().to_owned(),
            life: Life::new(server.address()),
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

    /// Tells everybody that it is enough.
    pub fn stop(&self) {
        *self.stopped() = true;
        self.stopping.notify_all();
    }

    pub fn is_stopped(&self) -> bool {
        *self.stopped()
    }

    /// Rests that long, or until it is enough; says whether it is.
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

    /// Everything that was done.
    pub fn operations(&self) -> u64 {
        self.counts.requests.get()
            + self.counts.collections.get()
            + self.counts.restores.get()
            + self.counts.refused_restores.get()
    }

    /// Reports that the registry broke a rule, with what happened to the objects concerned, and ends the test.
    pub fn violated(&self, words: &[&str], message: &str) -> ! {
        // the first is the news; others follow from it
        if !self.is_broken.swap(true, Ordering::SeqCst) {
            let now = self.journal.seconds(Instant::now());
            eprintln!(
                "{}, {:?}\nat {now}: {message}\n{}",
                self.name,
                self.terms,
                self.journal.about(words)
            );
        }
        self.stop();
        panic!("{message}");
    }
}
