//! The server is killed repeatedly during pushes: every acknowledged change must survive, no
//! partial change may be visible, and leftovers must be cleared.
//!
//! `CRASH_SEED` makes clients repeat the same actions, with kills after the same delays.

pub mod audit;
mod copy_faults;
pub mod faults;
pub mod ledger;
mod leftovers;
pub mod promises;
pub mod random;
mod short_writes;
pub mod sys;
pub mod worker;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::collect::file_systems::EXFAT;
use crate::power_loss::disk::Disk;
use crate::support::{Server, announce_skipped};
use ledger::Ledger;
use random::Random;
use worker::Worker;

/// Data directories, each filled from empty.
const CAMPAIGNS: u64 = 6;
const MOST_CAMPAIGNS: u64 = 36;
/// Minimum number of acknowledged images for a run to count.
const IMAGES: usize = 100;
const ROUNDS: u64 = 10;
const WORKERS: u64 = 6;
/// Log level that hides the expected cleanup after each kill.
const QUIET: &[(&str, &str)] = &[("REGISTRY_LOG_LEVEL", "error")];
/// Longest time that clients work before a kill.
const LONGEST_LIFE: u64 = 240;

#[test]
fn a_server_killed_at_any_moment_keeps_acknowledged_content_and_clears_leftovers() {
    let seed = Random::seed_from("CRASH_SEED");
    let (mut kills, mut promised, mut number) = (0, 0, 0);
    // a busy machine does less per round
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

#[test]
fn a_server_without_hard_links_keeps_acknowledged_content_too() {
    let directory = TempDir::new().expect("a temporary directory");
    let disk = match Disk::with(directory.path(), "exfat", &EXFAT) {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root, /dev/fuse and exfat-fuse are required: {error}");
            return announce_skipped("crashes without hard links", &reason);
        }
    };
    let seed = Random::seed_from("CRASH_SEED");
    let mut campaign = Campaign::new(&disk.path().join("data"), seed);
    (0..ROUNDS).for_each(|round| campaign.round(round));
    campaign.settle();
    let promised = campaign.ledger.state().manifests.len();
    println!("{} kills, {promised} images acknowledged", campaign.kills);
    assert!(promised > 0, "an experiment without images");
}

/// One data directory and its history.
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
        // an empty directory, and one with an interrupted first start
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

    /// Runs one server, or two on one directory, from the first push to the kill, and restarts.
    fn round(&mut self, round: u64) {
        self.ledger.server_started();
        match round % 3 {
            2 => self.run_two_servers(round),
            _ => self.run_one_server(round),
        }
        let seen = audit::check_crashed(self.server.directory());
        if self.random.one_in(3) {
            // in the middle of the cleanup
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

    /// Waits for the cleanup, then checks everything and resumes open sessions.
    fn settle(&mut self) {
        audit::check_cleared(self.server.directory());
        let random = &mut self.random;
        promises::check_sessions(self.server.address(), &self.ledger, || random.one_in(2));
    }

    fn run_one_server(&mut self, round: u64) {
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
            ledger.server_killed();
            server.kill();
        });
        *kills += 1;
    }

    /// A second server starts and cleans up while the first works; both then work until one is
    /// killed.
    fn run_two_servers(&mut self, round: u64) {
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
            ledger.server_killed();
            second.kill();
            pause(random, LONGEST_LIFE / 4);
            server.kill();
        });
        *kills += 2;
    }
}

/// Sleeps a random time; part of the experiment, not synchronisation.
fn pause(random: &mut Random, most: u64) {
    std::thread::sleep(Duration::from_micros(random.below(most * 1000)));
}

/// Starts a server and kills it after a delay.
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
