//! The cost of webhooks to those who push: `cargo bench --bench webhooks -- [images] [ROUNDS [PUSHES [CLIENTS]]]`.
//!
//! Four servers push in turns, round after round: one without webhooks; one with three, whose events are written and never sent,
//! because this process holds the lock of the delivery; one with three whose receiver answers; and one with three whose
//! receiver never does. Prints the medians of the rounds. The receiver is a process of its own, so that its CPU is known.
//!
//! `REGISTRY=PATH` measures another build.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "benchmarks print, and fail by panicking"
)]

#[path = "support/connection.rs"]
mod connection;
#[path = "support/receiver.rs"]
mod receiver;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use connection::Connection;
use receiver::Receivers;
use sha2::{Digest, Sha256};

const CONFIG: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCTETS: &str = "application/octet-stream";
/// Number of webhooks of a server that has some.
const WEBHOOKS: usize = 3;
/// Turns of each server in a round, so that drift of the machine affects all of them alike.
const TURNS: usize = 20;
/// Time for deliveries to end before the next server's turn.
const PAUSE: Duration = Duration::from_millis(60);
/// Time for deliveries to be recorded.
const REST: Duration = Duration::from_millis(1500);
/// Ticks of the CPU times in `/proc`, in each second.
const TICKS: f64 = 100.0;

/// What a server's webhooks do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Written,
    Told,
    Hanging,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::None, "none"),
    (Kind::Written, "three, written alone"),
    (Kind::Told, "three"),
    (Kind::Hanging, "three that hang"),
];

/// What is pushed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pushed {
    Manifests,
    Images,
}

/// Pushes of a round.
#[derive(Clone, Copy)]
struct Load {
    pushed: Pushed,
    pushes: usize,
    clients: usize,
}

struct Server {
    child: Child,
    address: String,
    /// Keeps the server from delivering.
    _lock: Option<File>,
}

/// Figures of one round.
#[derive(Clone, Default)]
struct Round {
    times: Vec<Duration>,
    wall: Duration,
    /// Microseconds of the server's CPU for a push.
    server: f64,
    /// Events that were delivered by the time that the last push of their turn was answered.
    prompt: u64,
}

impl Round {
    fn push(&mut self, server: &Server, receivers: &mut Receivers, first: usize, load: Load) {
        let before = receivers.taken();
        let begun = Instant::now();
        self.times.extend(push(&server.address, first, load));
        self.wall += begun.elapsed();
        self.prompt += receivers.taken() - before;
        std::thread::sleep(PAUSE);
    }

    fn rate(&self) -> f64 {
        self.times.len() as f64 / self.wall.as_secs_f64()
    }

    /// Microseconds within which this share of the pushes was answered.
    fn within(&self, share: f64) -> f64 {
        let mut times = self.times.clone();
        times.sort();
        times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "receive") {
        return receiver::serve();
    }
    let numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    let number = |place: usize, default| numbers.get(place).copied().unwrap_or(default);
    let (rounds, pushes, clients) = (number(0, 5), number(1, 1000), number(2, 1));
    let pushed = match std::env::args().any(|argument| argument == "images") {
        true => Pushed::Images,
        false => Pushed::Manifests,
    };
    let load = |pushes| Load {
        pushed,
        pushes,
        clients,
    };
    let directory = std::env::temp_dir().join(format!("webhooks-{}", std::process::id()));
    let mut receivers = Receivers::start();
    let servers = KINDS.map(|(kind, name)| {
        let root = directory.join(name.replace([' ', ','], ""));
        start(kind, &root, &receivers)
    });
    for server in &servers {
        push_blob(&mut Connection::to(&server.address), b"{}");
        push(&server.address, 0, load(200));
    }
    std::thread::sleep(REST);
    let mut rounds_of: Vec<Vec<Round>> = vec![Vec::new(); KINDS.len()];
    let mut first = 1000;
    for _ in 0..rounds {
        let before: Vec<_> = servers.iter().map(|server| server.process_time()).collect();
        let mut of_round = vec![Round::default(); KINDS.len()];
        for turn in 0..TURNS {
            for place in 0..KINDS.len() {
                // each follows each of the others
                let place = (place + turn) % KINDS.len();
                let own = &mut of_round[place];
                own.push(&servers[place], &mut receivers, first, load(pushes / TURNS));
                first += pushes;
            }
        }
        std::thread::sleep(REST);
        for (place, server) in servers.iter().enumerate() {
            let spent = server.process_time() - before[place];
            of_round[place].server = 1e6 * spent / pushes as f64;
        }
        for (place, own) in of_round.into_iter().enumerate() {
            rounds_of[place].push(own);
        }
    }
    report(&rounds_of, rounds, load(pushes));
    let taken = receivers.taken() as f64;
    let spent = 1e6 * cpu_time(receivers.process()) / taken;
    println!("receiver: {spent:.0} us of CPU for each of {taken:.0} events");
    drop(servers);
    std::fs::remove_dir_all(directory).expect("removed");
}

fn start(kind: Kind, root: &Path, receivers: &Receivers) -> Server {
    let address = match kind {
        Kind::None => "",
        Kind::Hanging => &receivers.hanging,
        Kind::Written | Kind::Told => &receivers.answering,
    };
    let one = |number| format!("{{name: hook-{number}, url: 'http://{address}/hook'}}");
    let webhooks = match kind {
        Kind::None => String::new(),
        _ => format!("[{}]", Vec::from_iter((0..WEBHOOKS).map(one)).join(", ")),
    };
    let mut server = spawn(root, &webhooks);
    if kind == Kind::Written {
        // the endpoints are known before the lock is taken away
        Connection::to(&server.address);
        std::thread::sleep(REST);
        drop(server);
        let lock = File::options().write(true).open(root.join("delivery.lock"));
        let lock = lock.expect("the lock of the delivery");
        lock.lock().expect("nobody else has it");
        server = spawn(root, &webhooks);
        server._lock = Some(lock);
    }
    server
}

fn spawn(root: &Path, webhooks: &str) -> Server {
    let program = std::env::var_os("REGISTRY").map(PathBuf::from);
    let program = program.or_else(|| option_env!("CARGO_BIN_EXE_registry").map(PathBuf::from));
    let mut command = Command::new(program.expect("REGISTRY=PATH"));
    command
        .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
        .arg(root)
        .env("REGISTRY_GC_ENABLED", "false")
        .env("REGISTRY_LOG_LEVEL", "error")
        .env("REGISTRY_LOG_ACCESSLOG_DISABLED", "true")
        .stdout(Stdio::piped());
    if !webhooks.is_empty() {
        command.env("REGISTRY_WEBHOOKS", webhooks);
    }
    let mut child = command.spawn().expect("the server starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("a line");
    let address = line
        .split_once("http://")
        .and_then(|(_, rest)| rest.split(',').next());
    let address = address.expect("an address").to_owned();
    Server {
        child,
        address,
        _lock: None,
    }
}

impl Server {
    fn process_time(&self) -> f64 {
        cpu_time(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds of CPU of a process, all threads.
fn cpu_time(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let rest = stat.rsplit_once(") ").expect("a name").1;
    let ticks = rest.split(' ').skip(11).take(2);
    ticks
        .map(|ticks| ticks.parse::<f64>().expect("a number"))
        .sum::<f64>()
        / TICKS
}

/// Pushes, each client under its own tags; returns the time of each push.
fn push(address: &str, first: usize, load: Load) -> Vec<Duration> {
    std::thread::scope(|scope| {
        let work = |client: usize| {
            let mut connection = Connection::to(address);
            let numbers = (first..first + load.pushes).skip(client);
            let push_one = |number| {
                let image = image(load.pushed, number);
                let tag = format!("v{client}-{}", number % 50);
                let begun = Instant::now();
                image.push(&mut connection, &tag);
                begun.elapsed()
            };
            numbers
                .step_by(load.clients)
                .map(push_one)
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..load.clients)
            .map(|client| scope.spawn(move || work(client)))
            .collect();
        let times = threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"));
        times.collect()
    })
}

struct Image {
    /// What is not there yet.
    blobs: Vec<Vec<u8>>,
    manifest: String,
}

/// Makes an image of its own for each number.
fn image(pushed: Pushed, number: usize) -> Image {
    let blobs = match pushed {
        Pushed::Manifests => Vec::new(),
        Pushed::Images => {
            let config = format!(r#"{{"architecture":"amd64","os":"linux","n":{number}}}"#);
            let words = (0..512u64).map(|word| {
                (word + 1)
                    .wrapping_mul(number as u64 + 1)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            });
            let layer = words.flat_map(u64::to_le_bytes).collect();
            vec![config.into_bytes(), layer]
        }
    };
    let (config, layers) = match &blobs[..] {
        [config, layer] => {
            let layer = descriptor("tar", &digest(layer), layer.len());
            (descriptor("config", &digest(config), config.len()), layer)
        }
        _ => (descriptor("config", CONFIG, 2), String::new()),
    };
    Image {
        blobs,
        manifest: format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{layers}],"annotations":{{"n":"{number}"}}}}"#
        ),
    }
}

fn descriptor(kind: &str, digest: &str, size: usize) -> String {
    let media_type = match kind {
        "config" => "application/vnd.oci.image.config.v1+json",
        _ => "application/vnd.oci.image.layer.v1.tar",
    };
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
}

fn digest(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Image {
    fn push(&self, connection: &mut Connection, tag: &str) {
        for blob in &self.blobs {
            push_blob(connection, blob);
        }
        let path = format!("/v2/app/manifests/{tag}");
        let status = connection.request("PUT", &path, MANIFEST, self.manifest.as_bytes());
        assert_eq!(status, 201);
    }
}

fn push_blob(connection: &mut Connection, content: &[u8]) {
    let path = format!("/v2/app/blobs/uploads/?digest={}", digest(content));
    assert_eq!(connection.request("POST", &path, OCTETS, content), 201);
}

fn report(rounds_of: &[Vec<Round>], rounds: usize, load: Load) {
    let Load {
        pushed,
        pushes,
        clients,
    } = load;
    let pushed = match pushed {
        Pushed::Manifests => "manifests",
        Pushed::Images => "images",
    };
    println!("{rounds} rounds of {pushes} pushes of {pushed} by {clients} clients, medians");
    println!(
        "{:22} {:>9} {:>8} {:>9} {:>9} {:>9} {:>11} {:>7}",
        "webhooks", "pushes/s", "to none", "p50", "p90", "p99", "server CPU", "prompt"
    );
    for ((_, name), own) in KINDS.iter().zip(rounds_of) {
        let of = |figure: &dyn Fn(&Round) -> f64| median(own.iter().map(figure).collect());
        let pairs = own.iter().zip(&rounds_of[0]);
        let ratio = median(pairs.map(|(own, none)| own.rate() / none.rate()).collect());
        println!(
            "{name:22} {:>9.0} {ratio:>8.3} {:>6.0} us {:>6.0} us {:>6.0} us {:>8.0} us {:>7.2}",
            of(&Round::rate),
            of(&|round| round.within(0.5)),
            of(&|round| round.within(0.9)),
            of(&|round| round.within(0.99)),
            of(&|round| round.server),
            of(&|round| round.prompt as f64 / (pushes * WEBHOOKS) as f64),
        );
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
