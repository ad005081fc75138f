//! Starting and stopping the real binary.

mod activation;
mod configuration;
mod directory;
mod every_key;
mod failures;
mod lost_database;
pub mod reloading;
mod second;
mod signals;
mod stopping;
mod upgrades;
mod warning;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::server::announced_address;
use crate::support::{Client, Image, show_if_failing};

/// Prepares a command without the `REGISTRY_` variables of the test environment.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    // `tests/watch` covers the access log
    command
        .args(arguments)
        .env("REGISTRY_STORAGE_RESERVE", "0")
        .env("REGISTRY_LOG_ACCESSLOG_DISABLED", "true");
    command
}

/// Prepares `registry serve` on a directory and any port of loopback.
fn serve(directory: &Path) -> Command {
    let mut command = command(&["serve", "--addr", "127.0.0.1:0", "--data-dir"]);
    command.arg(directory);
    command
}

/// A server started by a command; killed when dropped.
pub struct Running {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    line: String,
    started: Instant,
}

impl Running {
    /// Starts it and waits for the line with its address.
    fn start(mut command: Command) -> Self {
        let started = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        Self {
            child,
            out,
            line,
            started,
        }
    }

    fn address(&self) -> String {
        announced_address(&self.line)
            .unwrap_or_else(|| panic!("the server said {:?}", self.line))
            .to_owned()
    }

    pub fn client(&self) -> Client {
        Client::new(&self.address())
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
            .expect("a pid");
        rustix::process::kill_process(pid, signal).expect("the server can be signalled");
    }

    fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Waits for the exit; returns the code, the rest of stdout, and stderr.
    fn end(&mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).expect("text");
        self.child
            .stderr
            .take()
            .expect("a pipe")
            .read_to_string(&mut err)
            .expect("text");
        (self.child.wait().expect("it ends").code(), out, err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(mut stderr) = self.child.stderr.take() {
            show_if_failing(|| {
                let mut log = String::new();
                let _ = stderr.read_to_string(&mut log);
                log
            });
        }
    }
}

/// Waits until nothing listens at `address` any more, the sign of stopping.
fn wait_until_closed(address: &str) {
    let start = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{address} still listens"
        );
        std::thread::yield_now();
    }
}

/// Returns the stderr of a server that must not start; panics if it starts.
pub fn refusal(command: Command) -> String {
    let mut server = Running::start(command);
    assert_eq!(server.line, "", "it started");
    let (code, _, err) = server.end();
    assert!(code.is_some_and(|code| code != 0), "{code:?}: {err}");
    assert!(!err.contains("panicked"), "{err}");
    err
}

/// As [`refusal`], for errors of one sentence.
pub fn sentence(command: Command) -> String {
    let err = refusal(command);
    assert_eq!(err.trim_end().lines().count(), 1, "{err}");
    err
}

#[test]
fn a_start_prints_one_line_and_serves_at_once() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let directory = temporary.path().join("new/data");
    let mut server = Running::start(serve(&directory));
    assert_eq!(server.client().get("/v2/").status, 200);
    assert_eq!(
        server.line,
        format!(
            "listening on http://{}, data in {}\n",
            server.address(),
            directory.display()
        )
    );
    server.terminate();
    let (code, rest, err) = server.end();
    assert_eq!((code, &*rest), (Some(0), ""));
    assert!(!err.contains("WARN") && !err.contains("ERROR"), "{err}");
}

/// Nothing can be pushed to 0.0.0.0 or [::].
#[test]
fn the_announced_address_can_be_pushed_to() {
    for address in ["0.0.0.0:0", ":0", "127.0.0.1:0"] {
        let temporary = tempfile::TempDir::new().expect("a directory");
        let mut command = command(&["serve", "--addr", address, "--data-dir"]);
        command.arg(temporary.path());
        let server = Running::start(command);
        assert!(
            server.line.starts_with("listening on http://127.0.0.1:"),
            "{}",
            server.line
        );
        Image::small(1).push(&mut server.client(), "app", "v1");
    }
}

/// 100 ms is the promise; the factor is for a busy machine and an unoptimised build, and what a slow disk costs comes on top.
#[test]
fn a_start_does_not_wait_for_leftover_uploads() {
    const PROMISE: Duration = Duration::from_millis(100);
    let temporary = tempfile::TempDir::new().expect("a directory");
    let fastest_start = || {
        let starts = (0..3).map(|_| {
            let server = Running::start(serve(temporary.path()));
            assert_eq!(server.client().get("/v2/").status, 200);
            // killed, so that leftovers are still there for the next one
            server.started.elapsed()
        });
        starts.min().expect("three starts")
    };
    let without = fastest_start();
    let database =
        rusqlite::Connection::open(temporary.path().join("registry.db")).expect("the database");
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
                INSERT INTO uploads (id, repository, algorithm, started_at, expires_at)
                SELECT printf('%08x-0000-4000-8000-000000000000', i), 'a', 'sha256', 0, i % 2 * 9000000000000000 FROM n";
    database.execute_batch(fill).expect("rows");
    drop(database);
    for number in 0..3000 {
        let name = format!("{number:08x}-0000-4000-8000-000000000001");
        std::fs::write(temporary.path().join("uploads").join(name), "left over").expect("a file");
    }
    let with = fastest_start();
    assert!(with < without + PROMISE * 5, "{without:?}, then {with:?}");
}

fn stop_gracefully(mut server: Running) {
    server.terminate();
    assert_eq!(server.end().0, Some(0));
}
