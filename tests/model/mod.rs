//! A model check: many clients perform random operations on the real server, while other processes
//! collect beside it and all of them are killed at times. A reference model, which knows the
//! documented rules but no SQL, says what must be present and what must be absent.
//!
//! `MODEL_SEED` reproduces the content and the decisions; the timing of threads and processes
//! differs from run to run. `MODEL_SECONDS` sets how long the check runs.

mod caches;
mod campaign;
mod clients;
mod content;
mod final_state;
mod journal;
mod kills;
mod past;
mod process;
mod repository;
mod retention;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::crash::random::Random;
use crate::support::Server;
use crate::support::hub::Hub;
use campaign::Campaign;
use retention::Retention;

/// Minimum number of operations for a run to count.
const OPERATIONS: u64 = 100_000;
/// Minimum number of operations per campaign.
const OPERATIONS_EACH: u64 = 17_000;
/// Time after which a campaign with enough operations waits for nothing else.
const LONGEST: Duration = Duration::from_secs(60);
const WORKERS: u64 = 6;
/// Number of repositories.
const REPOSITORIES: usize = 10;
/// Clients that only use content about to be collected, each in its own repository.
const RACERS: usize = 3;
/// Clients of cached repositories.
const CACHED: u64 = 2;

/// Leases, grace periods and times for untagged manifests, in milliseconds; each is the longest
/// once.
const RETENTIONS: [Retention; 4] = [
    Retention::new(500, 300, 700),
    Retention::new(400, 700, 300),
    Retention::new(600, 200, 400),
    Retention::new(700, 700, 1200),
];

#[test]
fn needed_content_stays_and_the_rest_is_collected() {
    let seed = Random::seed_from("MODEL_SEED");
    let seconds = std::env::var("MODEL_SECONDS")
        .ok()
        .map(|text| Duration::from_secs(text.parse().expect("MODEL_SECONDS is a number")));
    let start = Instant::now();
    let (mut operations, mut number) = (0, 0);
    while seconds.map_or(operations < OPERATIONS, |seconds| start.elapsed() < seconds) {
        let retention = RETENTIONS[number as usize % RETENTIONS.len()];
        operations += run_campaign(seed, retention, number);
        number += 1;
    }
    println!(
        "{operations} operations in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    assert!(operations >= OPERATIONS, "only {operations} operations");
}

/// Runs clients on a fresh directory until they have done enough, and checks the final state;
/// returns the number of operations.
fn run_campaign(seed: u64, retention: Retention, number: u64) -> u64 {
    let name = format!("MODEL_SEED={seed}, campaign {number}");
    let seed = seed.wrapping_add(number);
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    let hub = Arc::new(Hub::start());
    let mut environment = retention.environment();
    environment.push(caches::environment(&hub));
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let mut server = Server::at(&data, &environment);
    let campaign = Campaign::new(name, seed, retention, (&server, hub), REPOSITORIES, RACERS);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let campaign = &campaign;
        for worker in 0..WORKERS {
            scope.spawn(move || {
                let _stop = StopAtPanic(campaign);
                clients::worker::work(campaign, Random::part(seed, 100 + worker));
            });
        }
        for racer in 0..RACERS {
            scope.spawn(move || {
                let _stop = StopAtPanic(campaign);
                clients::expiry::run(
                    campaign,
                    Random::part(seed, 150 + racer as u64),
                    REPOSITORIES + racer,
                    racer,
                );
            });
        }
        for client in 0..CACHED {
            scope.spawn(move || {
                let _stop = StopAtPanic(campaign);
                clients::cached::run(campaign, Random::part(seed, 170 + client));
            });
        }
        for collector in 0..2 {
            scope.spawn(move || {
                let _stop = StopAtPanic(campaign);
                kills::collect(
                    campaign,
                    Random::part(seed, 200 + collector),
                    collector == 1,
                );
            });
        }
        let server = &mut server;
        scope.spawn(move || kills::kill_now_and_then(campaign, server, Random::part(seed, 300)));
        while !campaign.rest(Duration::from_millis(50)) {
            if is_enough(campaign, began) {
                campaign.stop();
            }
        }
    });
    let worked = began.elapsed();
    final_state::check(&campaign, &server, Random::part(seed, 400));
    println!(
        "campaign {number}: {}, {} slow requests, {:.1} s of work and {:.1} s of final checks",
        campaign.counts,
        campaign.slack.count(),
        worked.as_secs_f64(),
        (began.elapsed() - worked).as_secs_f64()
    );
    campaign.counts.check();
    campaign.operations()
}

/// Reports whether a campaign has done its operations, and has used caches or waited long enough for that.
fn is_enough(campaign: &Campaign, began: Instant) -> bool {
    campaign.operations() >= OPERATIONS_EACH
        && (campaign.counts.have_caches() || began.elapsed() > LONGEST)
}

/// Stops the campaign if one of its threads panics.
struct StopAtPanic<'w>(&'w Campaign);

impl Drop for StopAtPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}
