//! Much garbage, beside plain unlinking.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tarkeep::registry::{Actor, KeepUntagged, Registry, RegistrySettings, Retention, SweepOptions};

use crate::quantile;
use crate::store::{self, Plan};

/// Rules by which everything goes at once.
pub fn at_once() -> Retention {
    Retention {
        lease: Duration::ZERO,
        grace: Duration::ZERO,
        untagged: KeepUntagged::Never,
        ..Retention::default()
    }
}

pub async fn run(divisor: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plan = Plan {
        repositories: 1000 / divisor,
        blobs: 2,
        has_files: true,
    };
    let (root, plain) = (
        directory.path().join("store"),
        directory.path().join("plain"),
    );
    store::make(&root, plan).await;
    store::make(&plain, plan).await;
    rustix::fs::sync();

    let registry = Registry::open(&root, RegistrySettings::default()).expect("a registry");
    let begun = Instant::now();
    for number in 0..plan.repositories {
        registry
            .repositories()
            .delete(&store::name(number), Actor::default())
            .await
            .expect("a deletion");
    }
    let deleting = begun.elapsed();
    rustix::fs::sync();

    let files: Vec<PathBuf> = store::files(&plain, plan).collect();
    let begun = Instant::now();
    files
        .iter()
        .for_each(|file| std::fs::remove_file(file).expect("a file"));
    let unlinking = begun.elapsed();

    let stop = AtomicBool::new(false);
    let (swept, sweeping, mut waits) = std::thread::scope(|scope| {
        let prober = scope.spawn(|| probe(&root.join("registry.db"), &stop));
        let begun = Instant::now();
        let sweep = registry.gc().sweep(
            SweepOptions {
                retention: at_once(),
                uses_server_rules: false,
            },
            None,
        );
        let swept =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(sweep))
                .expect("a sweep");
        let sweeping = begun.elapsed();
        stop.store(true, Ordering::Relaxed);
        (swept, sweeping, prober.join().expect("no panic"))
    });
    assert_eq!(swept.files as usize, plan.blobs(), "{swept:?}");
    let images = plan.repositories * store::IMAGES;
    println!(
        "sweep: {images} images deleted in {:.1} s; {swept:?}",
        deleting.as_secs_f64()
    );
    println!(
        "sweep: {} files in {:.1} s ({:.0}/s); unlinking as many alone {:.1} s ({:.0}/s): {:.2}x",
        swept.files,
        sweeping.as_secs_f64(),
        swept.files as f64 / sweeping.as_secs_f64(),
        unlinking.as_secs_f64(),
        files.len() as f64 / unlinking.as_secs_f64(),
        sweeping.as_secs_f64() / unlinking.as_secs_f64()
    );
    let [half, most, worst] =
        [0.5, 0.99, 1.0].map(|share| quantile(&mut waits, share).as_secs_f64() * 1e3);
    println!(
        "sweep: another writer waited {half:.2} ms (p50), {most:.2} ms (p99), {worst:.2} ms (most), {} times",
        waits.len()
    );
}

/// Wants to write every few milliseconds, and tells how long it had to wait each time.
fn probe(database: &std::path::Path, stop: &AtomicBool) -> Vec<Duration> {
    let connection = Connection::open(database).expect("a database");
    connection
        .busy_handler(Some(|_| {
            std::thread::sleep(Duration::from_micros(50));
            true
        }))
        .expect("a handler");
    let mut waits = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        connection
            .execute_batch("BEGIN IMMEDIATE")
            .expect("the lock");
        waits.push(begun.elapsed());
        connection.execute_batch("ROLLBACK").expect("the end");
        std::thread::sleep(Duration::from_millis(5));
    }
    waits
}
