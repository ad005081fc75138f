//! Replacing the configuration file a hundred times under load: no request fails.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::{Client, Image};

const SWAPS: usize = 100;
const CLIENTS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// The `number`th version of the file; every fourth is invalid and changes nothing.
fn version(number: usize) -> String {
    match number % 4 {
        3 => "version: 0.1\nhttp: {adr: 1}\n".to_owned(),
        _ => format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\nmanifests: {{limit: {}, sparse: {}}}\n\
             gc: {{interval: {}s, grace: {}h}}\ncatalog: {{maxentries: {}}}\nhttp: {{headers: {{X-Swap: ['{}']}}}}\n",
            (4 << 20) + number,
            number.is_multiple_of(2),
            number + 1,
            number + 24,
            number + 100,
            number,
        ),
    }
}

/// A running server with the first version of its file.
struct Configured {
    directory: tempfile::TempDir,
    server: Child,
    address: String,
    /// Lines of its log.
    lines: Receiver<String>,
}

impl Configured {
    fn start() -> Self {
        let directory = tempfile::TempDir::new().expect("a directory");
        let path = directory.path().join("config.yml");
        std::fs::write(&path, version(0)).expect("a file");
        let mut server = Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
            .arg(directory.path().join("data"))
            .arg(&path)
            .env("REGISTRY_STORAGE_RESERVE", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut out = BufReader::new(server.stdout.take().expect("a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        let address = line
            .strip_prefix("listening on http://")
            .and_then(|rest| rest.split(',').next())
            .expect("an address")
            .to_owned();
        let errors = BufReader::new(server.stderr.take().expect("a pipe"));
        let (sender, lines) = channel();
        // both threads end with the server
        std::thread::spawn(move || {
            errors
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        std::thread::spawn(move || out.lines().map_while(Result::ok).for_each(drop));
        Self {
            directory,
            server,
            address,
            lines,
        }
    }

    /// Replaces the file with another version, and waits until the server logs the outcome.
    fn swap(&self, number: usize) {
        let path = self.directory.path().join("config.yml");
        let new = path.with_extension("new");
        std::fs::write(&new, version(number)).expect("a file");
        std::fs::rename(new, &path).expect("a name");
        let pid = rustix::process::Pid::from_child(&self.server);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP)
            .expect("the server can be signalled");
        let outcome = if number % 4 == 3 {
            "the new configuration is rejected"
        } else {
            "now in force"
        };
        while !self
            .lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("no line says '{outcome}'"))
            .contains(outcome)
        {}
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn a_hundred_configuration_swaps_fail_no_request() {
    let configured = Configured::start();
    let over = AtomicBool::new(false);
    let (worked, rounds) = channel();
    let mut requests = 0;
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (address, over, worked) = (&configured.address, &over, worked.clone());
            scope.spawn(move || {
                let mut client = Client::new(address);
                for round in 0_u64.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let _ = worked.send(work(&mut client, number, round));
                }
            });
        }
        let mut swap = |number: usize| {
            // every swap happens under load
            requests += rounds.recv_timeout(PATIENCE).expect("clients work");
            requests += rounds.try_iter().sum::<u64>();
            configured.swap(number);
        };
        // without this, clients would wait for each other after a failure
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (1..=SWAPS).for_each(&mut swap)
        }));
        over.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|cause| std::panic::resume_unwind(cause));
    });
    println!("{SWAPS} swaps under {requests} requests of {CLIENTS} clients");
}

/// Pushes an image, pulls it and lists; returns the number of requests. Panics if one fails.
fn work(client: &mut Client, number: usize, round: u64) -> u64 {
    let repository = format!("team/{number}");
    let image = Image::small(round << 8 | number as u64);
    image.push(client, &repository, "latest");
    image.assert_pulls(client, &repository, "latest");
    for (path, status) in [
        ("/v2/".to_owned(), 200),
        (format!("/v2/{repository}/tags/list"), 200),
        ("/v2/_catalog?n=10".to_owned(), 200),
        (format!("/v2/{repository}/manifests/nobody"), 404),
    ] {
        let answer = client.get(&path);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    12
}
