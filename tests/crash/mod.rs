//! The server is killed, again and again, while clients push to it: nothing that was acknowledged may be missing after
//! that, nothing may be half there, and what is left lying about must be cleared.
//!
//! `CRASH_SEED` makes the same clients do the same things, and the kills come after the same times.

pub mod audit;
pub mod ledger;
mod leftovers;
pub mod promises;
pub mod random;
pub mod sys;
pub mod worker;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::Server;
use ledger::Ledger;
use random::Random;
use worker::Worker;

/// Directories that are filled, one after the other, from nothing.
const CAMPAIGNS: u64 = 6;
const MOST_CAMPAIGNS: u64 = 36;
/// Number of images that must have been acknowledged for a run to count.
const IMAGES: usize = 100;
const ROUNDS: u64 = 10;
const WORKERS: u64 = 6;
/// Log level that hides the expected cleanup after each kill.
const QUIET: &[(&str, &str)] = &[("REGISTRY_LOG_LEVEL", "error")];
/// The longest that clients work before the server is killed.
const LONGEST_LIFE: u64 = 240;

#[test]
fn killed_at_any_moment_it_keeps_what_it_promised_and_clears_what_it_left() {
    let seed = Random::seed_from("CRASH_SEED");
    let (mut kills, mut promised, mut number) = (0, 0, 0);
    // a busy machine gets less done in each
    while number < CAMPAIGNS || (promised < IMAGES && number < MOST_CAMPAIGNS) {
        let directory = TempDir::new().expect("a temporary directory");
        let mut campaign = Campaign::new(
            directory.path().join("data").as_path(),
            seed.wrapping_add(number),
        );
        (0..ROUNDS).for_each(|round| campaign.round(round));
        campaign.settle();
        kills += campaign.kills;
        promised += campaign.ledger.state().manifests.len();
        number += 1;
    }
    println!("{kills} kills, {promised} images acknowledged");
    assert!(kills >= 50, "an experiment of {kills} kills");
    assert!(promised >= IMAGES, "an experiment of {promised} images");
}

/// One data directory, and all that happens to it.
struct Campaign {
    server: Server,
    ledger: Ledger,
    random: Random,
    seed: u64,
    kills: u32,
}

impl Campaign {
    fn new(root: &Path, seed: u64) -> Self {
        let mut random = Random::new(seed);
        // an empty directory, and one where the first start came only so far
        for _ in 0..3 {
            kill_while_starting(root, Duration::from_micros(random.below(12_000)));
        }
        let ledger = Ledger::default();
        Self {
            server: Server::at(root, QUIET),
            ledger,
            random,
            seed,
            kills: 3,
        }
    }

    /// A life of the server, or of two on one directory, from first push to kill, and the start after it.
    fn round(&mut self, round: u64) {
        self.ledger.begin_life();
        match round % 3 {
            2 => self.live_together(round),
            _ => self.live_alone(round),
        }
        let seen = audit::check_dead(self.server.directory());
        if self.random.one_in(3) {
            // in the middle of clearing up
            self.server.restart();
            pause(&mut self.random, 8);
            self.server.kill();
            self.kills += 1;
        }
        self.server.restart();
        if self.random.one_in(2) {
            self.settle();
            promises::check(self.server.address(), &self.ledger, &seen);
        } else {
            promises::check(self.server.address(), &self.ledger, &seen);
            self.settle();
        }
    }

    /// Waits until everything is in place, and looks after the sessions that are open.
    fn settle(&mut self) {
        audit::check_cleared(self.server.directory());
        let random = &mut self.random;
        promises::check_sessions(self.server.address(), &self.ledger, || random.one_in(2));
    }

    fn live_alone(&mut self, round: u64) {
        let Self {
            server,
            ledger,
            random,
            seed,
            kills,
        } = self;
        let addresses = [server.address().to_owned()];
        std::thread::scope(|scope| {
            for number in 0..WORKERS {
                let worker = Worker::new(&addresses, ledger, *seed, round, number);
                scope.spawn(move || worker.run());
            }
            pause(random, LONGEST_LIFE);
            ledger.end_life();
            server.kill();
        });
        *kills += 1;
    }

    /// A second server starts, and clears up, while the first works; they then work together, until one dies.
    fn live_together(&mut self, round: u64) {
        let Self {
            server,
            ledger,
            random,
            seed,
            kills,
        } = self;
        std::thread::scope(|scope| {
            let mut addresses = vec![server.address().to_owned()];
            for number in 0..WORKERS / 2 {
                let worker = Worker::new(&addresses, ledger, *seed, round, number);
                scope.spawn(move || worker.run());
            }
            let mut second = Server::at(server.directory(), QUIET);
            addresses.push(second.address().to_owned());
            for number in WORKERS / 2..WORKERS {
                let worker = Worker::new(&addresses, ledger, *seed, round, number);
                scope.spawn(move || worker.run());
            }
            pause(random, LONGEST_LIFE);
            ledger.end_life();
            second.kill();
            pause(random, LONGEST_LIFE / 4);
            server.kill();
        });
        *kills += 2;
    }
}

/// The experiment: for how long things go on.
fn pause(random: &mut Random, most: u64) {
    std::thread::sleep(Duration::from_micros(random.below(most * 1000)));
}

/// Starts a server and kills it, however far it has come.
fn kill_while_starting(root: &Path, after: Duration) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command
        .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
        .arg(root)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("the server starts");
    std::thread::sleep(after);
    child.kill().expect("the server can be killed");
    child.wait().expect("the server ends");
}
