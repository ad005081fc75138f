//! Latency of pushes and pulls during a sweep, and without one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tarkeep::blob::Hasher;
use tarkeep::oci::Algorithm;
use tarkeep::registry::{Actor, Registry, RegistrySettings};

use crate::connection::Connection;
use crate::server::Server;
use crate::statistics::quantile;
use crate::store::{self, Plan};

/// Images in one repository.
const IMAGES: usize = 100;
const PUSHERS: usize = 2;
const PULLERS: usize = 2;
/// Duration of each measurement without a sweep.
const IDLE: Duration = Duration::from_secs(6);

pub async fn run(divisor: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plan = Plan {
        repositories: 1000 / divisor,
        manifests: IMAGES,
        tags: 1,
        blobs: 2,
        has_files: std::env::var_os("NOFILES").is_none(),
    };
    store::generate(directory.path(), plan).await;
    let registry =
        Registry::open(directory.path(), RegistrySettings::default()).expect("a registry");
    for number in 0..plan.repositories {
        registry
            .repositories()
            .delete(&store::name(number), Actor::default())
            .await
            .expect("a deletion");
    }
    drop(registry);
    rustix::fs::sync();
    let server = Server::start(directory.path(), &[]);
    let before = measure(&server, || std::thread::sleep(IDLE));
    let begun = Instant::now();
    let during = measure(&server, || sweep(directory.path()));
    let sweeping = begun.elapsed();
    let after = measure(&server, || std::thread::sleep(IDLE));
    println!(
        "beside: {} files swept in {:.1} s while {PUSHERS} clients push and {PULLERS} pull",
        plan.repositories * IMAGES * plan.blobs,
        sweeping.as_secs_f64()
    );
    report("push", [before.push, during.push, after.push]);
    report("pull", [before.pull, during.pull, after.pull]);
}

/// Runs `registry gc --online` with the shortest periods.
fn sweep(directory: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command
        .args(["gc", "--online", "--data-dir"])
        .arg(directory)
        .env("REGISTRY_GC_GRACE", "0s")
        .env("REGISTRY_GC_KEEPUNTAGGED", "0s")
        // images pushed meanwhile must live until their tag is set
        .env("REGISTRY_GC_LEASE", "2s")
        .stdout(Stdio::null());
    assert!(command.status().expect("the command runs").success());
}

/// Prints two quantiles of a kind of request before, during and after the sweep.
fn report(kind: &str, latencies: [Vec<Duration>; 3]) {
    for share in [0.5, 0.99] {
        let [before, during, after] = latencies
            .clone()
            .map(|mut times| quantile(&mut times, share).as_secs_f64() * 1e3);
        let idle = f64::midpoint(before, after);
        println!(
            "beside: {kind} p{:.0}: {idle:.2} ms alone ({before:.2} before, {after:.2} after), {during:.2} ms during the sweep: {:.2}x",
            share * 100.0,
            during / idle
        );
    }
}

struct Latencies {
    push: Vec<Duration>,
    pull: Vec<Duration>,
}

/// Measures the latency of clients while `work` runs.
fn measure(server: &Server, work: impl FnOnce()) -> Latencies {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|number| {
                scope.spawn({
                    let stop = &stop;
                    move || Client::new(server, number).push_on(stop)
                })
            })
            .collect();
        let pullers: Vec<_> = (0..PULLERS)
            .map(|number| {
                scope.spawn({
                    let stop = &stop;
                    move || Client::new(server, number).pull_on(stop)
                })
            })
            .collect();
        work();
        stop.store(true, Ordering::Relaxed);
        let join = |threads: Vec<std::thread::ScopedJoinHandle<'_, Vec<Duration>>>| {
            threads
                .into_iter()
                .flat_map(|thread| thread.join().expect("no panic"))
                .collect()
        };
        Latencies {
            push: join(pushers),
            pull: join(pullers),
        }
    })
}

struct Client {
    connection: Connection,
    repository: String,
    seed: u64,
}

impl Client {
    fn new(server: &Server, number: usize) -> Self {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970");
        let seed = u64::try_from(since_epoch.as_micros()).expect("small") << 8 | number as u64;
        Self {
            connection: Connection::to(&server.address),
            repository: format!("client-{number}"),
            seed,
        }
    }

    /// Pushes small images under the same tag until stopped.
    fn push_on(mut self, stop: &AtomicBool) -> Vec<Duration> {
        let mut times = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            self.push();
            times.push(begun.elapsed());
            std::thread::sleep(Duration::from_millis(10));
        }
        times
    }

    fn push(&mut self) {
        self.seed += 256;
        let (layer, config) = (
            format!("layer {}", self.seed).repeat(50),
            format!("{{\"seed\":{}}}", self.seed),
        );
        for blob in [&layer, &config] {
            let digest = Hasher::digest(Algorithm::Sha256, blob.as_bytes());
            let path = format!("/v2/{}/blobs/uploads/?digest={digest}", self.repository);
            assert_eq!(
                self.connection
                    .request("POST", &path, "application/octet-stream", blob.as_bytes()),
                201
            );
        }
        let descriptor = |blob: &str| {
            format!(
                r#"{{"mediaType":"x/y","digest":"{}","size":{}}}"#,
                Hasher::digest(Algorithm::Sha256, blob.as_bytes()),
                blob.len()
            )
        };
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{},"layers":[{}]}}"#,
            descriptor(&config),
            descriptor(&layer)
        );
        let path = format!("/v2/{}/manifests/latest", self.repository);
        assert_eq!(
            self.connection
                .request("PUT", &path, media_type, manifest.as_bytes()),
            201
        );
    }

    /// Pushes one image and pulls its manifest until stopped.
    fn pull_on(mut self, stop: &AtomicBool) -> Vec<Duration> {
        self.repository += "-pulled";
        self.push();
        let path = format!("/v2/{}/manifests/latest", self.repository);
        let mut times = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            assert_eq!(self.connection.request("GET", &path, "x/y", b""), 200);
            times.push(begun.elapsed());
            std::thread::sleep(Duration::from_millis(1));
        }
        times
    }
}
