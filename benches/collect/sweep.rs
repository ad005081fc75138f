//! Collection of much garbage, compared with plain unlinking.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tarkeep::registry::{
    Actor, KeepUntagged, Registry, RegistrySettings, Retention, SweepBy, SweepCounts, SweepOptions,
};

use crate::statistics::quantile;
use crate::store::{self, Plan};

/// Images in one repository.
pub const IMAGES: usize = 100;

/// Rules that collect everything unreferenced at once.
fn at_once() -> Retention {
    Retention {
        lease: Duration::ZERO,
        grace: Duration::ZERO,
        keep_untagged: KeepUntagged::For(Duration::ZERO),
        ..Retention::default()
    }
}

pub async fn run(divisor: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plan = Plan {
        repositories: 1000 / divisor,
        manifests: IMAGES,
        tags: 1,
        blobs: 2,
        has_files: true,
    };
    let (root, plain) = (
        directory.path().join("store"),
        directory.path().join("plain"),
    );
    store::generate(&root, plan).await;
    store::generate(&plain, plan).await;
    rustix::fs::sync();

    let registry = Registry::open(&root, RegistrySettings::default()).expect("a registry");
    let deleting = delete_all(&registry, plan).await;
    let files = files(&plain.join("blobs"));
    let unlinking = unlink(&files);
    let Collection {
        swept,
        sweeping,
        mut waits,
    } = collect(&registry, &root);
    assert_eq!(swept.files as usize, files.len(), "{swept:?}");
    println!(
        "sweep: {} images deleted in {:.1} s; {swept:?}",
        plan.repositories * IMAGES,
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
        "sweep: another writer waited {half:.2} ms (p50), {most:.2} ms (p99), {worst:.2} ms (maximum) in {} attempts",
        waits.len()
    );
}

/// Deletes every repository and returns the time it took.
async fn delete_all(registry: &Registry, plan: Plan) -> Duration {
    let begun = Instant::now();
    for number in 0..plan.repositories {
        registry
            .repositories()
            .delete(&store::name(number), Actor::default())
            .await
            .expect("a deletion");
    }
    let taken = begun.elapsed();
    rustix::fs::sync();
    taken
}

/// Lists the files below a directory.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).expect("a directory");
    entries
        .flat_map(|entry| files(&entry.expect("an entry").path()))
        .collect()
}

/// Unlinks files and returns the time it took.
fn unlink(files: &[PathBuf]) -> Duration {
    let begun = Instant::now();
    for file in files {
        std::fs::remove_file(file).expect("a file");
    }
    begun.elapsed()
}

/// A sweep, the time it took, and the waits of another writer meanwhile.
struct Collection {
    swept: SweepCounts,
    sweeping: Duration,
    waits: Vec<Duration>,
}

fn collect(registry: &Registry, root: &Path) -> Collection {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let prober = scope.spawn(|| probe(&root.join("registry.db"), &stop));
        let begun = Instant::now();
        let sweep = registry.gc().sweep(
            SweepOptions {
                by: SweepBy::Server,
                retention: at_once(),
                uses_server_rules: false,
            },
            None,
        );
        let swept =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(sweep))
                .expect("a sweep")
                .counts;
        let sweeping = begun.elapsed();
        stop.store(true, Ordering::Relaxed);
        Collection {
            swept,
            sweeping,
            waits: prober.join().expect("no panic"),
        }
    })
}

/// Takes the write lock every few milliseconds and returns the time that each attempt waited.
fn probe(database: &Path, stop: &AtomicBool) -> Vec<Duration> {
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
