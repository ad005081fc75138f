//! The model check: many clients do everything that clients do, at random, to the real server, while other processes
//! collect beside it and all of them are killed now and then; a reference model, which knows the rules and nothing of
//! SQL, says what must be there and what must have gone.
//!
//! `MODEL_SEED` makes the same stock and the same decisions; what threads and processes make of them in time differs from
//! run to run. `MODEL_SECONDS` makes it go on for so long.

mod change;
mod content;
mod duel;
mod hand;
mod journal;
mod kills;
mod life;
mod quiet;
mod repository;
mod strike;
mod terms;
mod worker;
mod world;

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::crash::random::Random;
use crate::support::Server;
use terms::Terms;
use world::World;

/// Minimum number of operations for a run to count.
const OPERATIONS: u64 = 100_000;
/// In one campaign.
const OPERATIONS_EACH: u64 = 17_000;
const WORKERS: u64 = 6;
/// Number of repositories.
const REPOSITORIES: usize = 10;
/// Clients that do nothing but want what is about to be collected, each in a repository of its own.
const HUNTERS: usize = 3;

/// Leases, grace periods and times for untagged manifests, in milliseconds: each longer than the others once.
const TERMS: [Terms; 4] = [
    Terms::new(500, 300, 700),
    Terms::new(400, 700, 300),
    Terms::new(600, 200, 400),
    Terms::new(700, 700, 1200),
];

#[test]
fn whatever_clients_do_and_whoever_is_killed_what_is_needed_stays_and_the_rest_goes() {
    let seed = Random::seed_from("MODEL_SEED");
    let seconds = std::env::var("MODEL_SECONDS")
        .ok()
        .map(|text| Duration::from_secs(text.parse().expect("MODEL_SECONDS is a number")));
    let start = Instant::now();
    let (mut operations, mut number) = (0, 0);
    while seconds.map_or(operations < OPERATIONS, |seconds| start.elapsed() < seconds) {
        let terms = TERMS[number as usize % TERMS.len()];
        operations += campaign(seed, terms, number);
        number += 1;
    }
    println!(
        "{operations} operations in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    assert!(
        operations >= OPERATIONS,
        "an experiment of {operations} operations"
    );
}

/// Fills a directory, lets clients at it until they have done enough, and judges what is left; says how much was done.
fn campaign(seed: u64, terms: Terms, number: u64) -> u64 {
    let name = format!("MODEL_SEED={seed}, campaign {number}");
    let seed = seed.wrapping_add(number);
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    let environment = terms.environment();
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let mut server = Server::at(&data, &environment);
    let world = World::new(name, seed, terms, &server, REPOSITORIES, HUNTERS);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let world = &world;
        for worker in 0..WORKERS {
            scope.spawn(move || {
                let _stop = StopAtPanic(world);
                worker::work(world, Random::part(seed, 100 + worker));
            });
        }
        for hunter in 0..HUNTERS {
            scope.spawn(move || {
                let _stop = StopAtPanic(world);
                strike::hunt(
                    world,
                    Random::part(seed, 150 + hunter as u64),
                    REPOSITORIES + hunter,
                    hunter,
                );
            });
        }
        for collector in 0..2 {
            scope.spawn(move || {
                let _stop = StopAtPanic(world);
                kills::collect(world, Random::part(seed, 200 + collector), collector == 1);
            });
        }
        let server = &mut server;
        scope.spawn(move || kills::kill_now_and_then(world, server, Random::part(seed, 300)));
        while !world.rest(Duration::from_millis(50)) {
            if world.operations() >= OPERATIONS_EACH {
                world.stop();
            }
        }
    });
    let worked = began.elapsed();
    quiet::settle(&world, &server, Random::part(seed, 400));
    println!(
        "campaign {number}: {}, {} so slow that promises count for less, {:.1} s of work and {:.1} s of rest",
        world.counts,
        world.slack.count(),
        worked.as_secs_f64(),
        (began.elapsed() - worked).as_secs_f64()
    );
    world.counts.check();
    world.operations()
}

/// Ends the experiment where one of those who make it has failed.
struct StopAtPanic<'w>(&'w World);

impl Drop for StopAtPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}
