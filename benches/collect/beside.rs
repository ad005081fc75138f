//! Pushes and pulls beside a sweep, and without one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tarkeep::blob::Hasher;
use tarkeep::oci::Algorithm;
use tarkeep::registry::{Actor, Registry, RegistrySettings};

use crate::quantile;
use crate::store::{self, Plan};

const PUSHERS: usize = 2;
const PULLERS: usize = 2;
/// How long each look without a sweep takes.
const IDLE: Duration = Duration::from_secs(6);

pub async fn run(divisor: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plan = Plan {
        repositories: 1000 / divisor,
        blobs: 2,
        has_files: std::env::var_os("NOFILES").is_none(),
    };
    store::make(directory.path(), plan).await;
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
    let served = Served::start(directory.path());
    let before = measure(&served.address, |_| std::thread::sleep(IDLE));
    let begun = Instant::now();
    let during = measure(&served.address, |stop| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .args(["gc", "--online", "--data-dir"])
            .arg(directory.path());
        for name in ["LEASE", "GRACE", "UNTAGGED"] {
            command.env(format!("REGISTRY_GC_{name}"), "0s");
        }
        // what is pushed meanwhile has tags at once, but its blobs have none: so long they must be let
        command.env("REGISTRY_GC_LEASE", "2s");
        let status = command
            .stdout(Stdio::null())
            .status()
            .expect("the command runs");
        assert!(status.success() && !stop.load(Ordering::Relaxed));
    });
    let sweeping = begun.elapsed();
    let after = measure(&served.address, |_| std::thread::sleep(IDLE));
    println!(
        "beside: {} files swept in {:.1} s beside {PUSHERS} clients that push and {PULLERS} that pull",
        plan.blobs(),
        sweeping.as_secs_f64()
    );
    for (kind, share) in [("push", 0.5), ("push", 0.99), ("pull", 0.5), ("pull", 0.99)] {
        let of = |latencies: &Latencies| {
            let mut times = if kind == "push" {
                latencies.push.clone()
            } else {
                latencies.pull.clone()
            };
            quantile(&mut times, share).as_secs_f64() * 1e3
        };
        let (idle, busy) = (f64::midpoint(of(&before), of(&after)), of(&during));
        println!(
            "beside: {kind} p{:.0}: {idle:.2} ms alone ({:.2} before, {:.2} after), {busy:.2} ms beside the sweep: {:.2}x",
            share * 100.0,
            of(&before),
            of(&after),
            busy / idle
        );
    }
}

#[derive(Default)]
struct Latencies {
    push: Vec<Duration>,
    pull: Vec<Duration>,
}

/// Times clients for as long as `work` takes.
fn measure(address: &str, work: impl FnOnce(&AtomicBool)) -> Latencies {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|number| {
                scope.spawn({
                    let stop = &stop;
                    move || Client::new(address, number).push_on(stop)
                })
            })
            .collect();
        let pullers: Vec<_> = (0..PULLERS)
            .map(|number| {
                scope.spawn({
                    let stop = &stop;
                    move || Client::new(address, number).pull_on(stop)
                })
            })
            .collect();
        work(&stop);
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
    connection: BufReader<TcpStream>,
    repository: String,
    seed: u64,
}

impl Client {
    fn new(address: &str, number: usize) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970");
        let seed = u64::try_from(since_epoch.as_micros()).expect("small") << 8 | number as u64;
        Self {
            connection: BufReader::new(stream),
            repository: format!("client-{number}"),
            seed,
        }
    }

    /// Pushes small images, each under the same tag.
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
                self.request("POST", &path, "application/octet-stream", blob.as_bytes()),
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
            self.request("PUT", &path, media_type, manifest.as_bytes()),
            201
        );
    }

    /// Pulls what is pushed.
    fn pull_on(mut self, stop: &AtomicBool) -> Vec<Duration> {
        self.repository += "-pulled";
        self.push();
        let path = format!("/v2/{}/manifests/latest", self.repository);
        let mut times = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            assert_eq!(self.request("GET", &path, "x/y", b""), 200);
            times.push(begun.elapsed());
            std::thread::sleep(Duration::from_millis(1));
        }
        times
    }

    fn request(&mut self, method: &str, path: &str, media_type: &str, body: &[u8]) -> u16 {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.connection
            .get_mut()
            .write_all(&[head.as_bytes(), body].concat())
            .expect("sent");
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.connection.read_line(&mut line).expect("a header");
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().expect("a status");
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        self.connection
            .read_exact(&mut vec![0; length])
            .expect("a body");
        status
    }
}

/// A server that does not collect by itself.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
            .arg(directory)
            .stdout(Stdio::piped());
        command
            .env("REGISTRY_GC_ENABLED", "false")
            .env("REGISTRY_STORAGE_RESERVE", "0");
        let mut child = command.spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split(',').next())
            .expect("an address");
        Self {
            address: address.to_owned(),
            child,
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
