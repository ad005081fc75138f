//! Measures the first pull of an image through this registry: `cargo bench --bench mirror [MB_PER_SECOND]`.
//!
//! One upstream with a layer of 500 MB and a paced line; one client that pulls from it directly; then 50 clients that pull the
//! same layer, which is not here yet, through this registry. In the end, pulls of what is cached beside pulls of an own image.
//! `REGISTRY=PATH` measures another build.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "benchmarks print, and fail by panicking"
)]

#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;
#[path = "support/upstream.rs"]
mod upstream;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use process::Registry;
use rustix::net::{RecvFlags, recv};
use upstream::Upstream;

const CLIENTS: usize = 50;
const SIZE: usize = 500_000_000;
/// Pulls of each kind at the end.
const ROUNDS: usize = 5;

/// One pull, as its client saw it.
struct Pull {
    first_byte: Instant,
    wall: Duration,
}

fn main() {
    let rate = std::env::args().find_map(|argument| argument.parse::<usize>().ok());
    let rate = rate.unwrap_or(20) * 1_000_000;
    println!("{CLIENTS} clients, one layer of {SIZE} bytes, a line of {rate} bytes/s");
    let upstream = Upstream::start(noise(1), rate);
    let direct = pull(&upstream.address, &upstream.path("image")).wall;
    upstream.forget();
    let registry = Registry::start(&upstream.address);
    let barrier = Barrier::new(CLIENTS);
    let begun = Instant::now();
    let pulls = std::thread::scope(|scope| {
        let pulls = (0..CLIENTS).map(|_| {
            scope.spawn(|| {
                barrier.wait();
                pull(registry.address(), &upstream.path("mirror/image"))
            })
        });
        let pulls: Vec<_> = pulls.collect();
        let ended = pulls.into_iter().map(|pull| pull.join().expect("a pull"));
        ended.collect::<Vec<_>>()
    });
    let wall = begun.elapsed();
    let first = upstream.first_byte();
    let delays = pulls.iter().map(|pull| pull.first_byte - first);
    let delay = delays.max().unwrap_or_default();
    let sent = upstream.sent();
    println!("direct pull            {:8.2} s", direct.as_secs_f64());
    println!("50 pulls               {:8.2} s", wall.as_secs_f64());
    println!(
        "ratio                  {:8.3}",
        wall.as_secs_f64() / direct.as_secs_f64()
    );
    println!(
        "slowest first byte     {:8.2} ms after the upstream's",
        millis(delay)
    );
    println!(
        "upstream sent it       {:8.2} times",
        sent as f64 / SIZE as f64
    );
    println!(
        "peak memory            {:8.1} MB",
        registry.peak_memory() as f64 / 1e6
    );
    compare(&registry, &upstream.path("mirror/image"));
}

/// Pulls what is cached and an own image in turns.
fn compare(registry: &Registry, cached: &str) {
    let own = push(registry, noise(2));
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (path, costs) in [cached, &own].into_iter().zip(&mut costs) {
            let before = registry.cpu();
            let wall = pull(registry.address(), path).wall;
            costs.push((wall, registry.cpu() - before));
        }
    }
    for (name, costs) in ["cached", "own"].into_iter().zip(&mut costs) {
        costs.sort();
        let (wall, cpu) = costs[ROUNDS / 2];
        println!(
            "pull of {name:6}         {:8.2} ms, {:.2} ms of server CPU",
            millis(wall),
            millis(cpu)
        );
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Returns bytes that nothing compresses.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(SIZE / 8).flatten().collect()
}

/// Pulls a blob of the known size; its bytes are dropped inside the kernel.
fn pull(address: &str, path: &str) -> Pull {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\n\r\n") {
        assert!(reader.read_line(&mut head).expect("a line") > 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let begun_with = reader.fill_buf().expect("bytes").len();
    let first_byte = Instant::now();
    assert!(begun_with > 0, "no byte");
    let stream = reader.into_inner();
    let mut buffer = vec![0; 1 << 20];
    let mut rest = SIZE - begun_with;
    while rest > 0 {
        let (_, received) = recv(&stream, &mut buffer[..], RecvFlags::TRUNC).expect("bytes");
        assert!(received > 0, "{rest} bytes are missing");
        rest -= received;
    }
    Pull {
        first_byte,
        wall: begun.elapsed(),
    }
}

/// Pushes a blob; returns its path.
fn push(registry: &Registry, content: Vec<u8>) -> String {
    let digest = upstream::digest(&content);
    let mut stream = TcpStream::connect(registry.address()).expect("a connection");
    let head = format!(
        "POST /v2/own/image/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes()).expect("it is sent");
    stream.write_all(&content).expect("it is sent");
    let mut status = String::new();
    BufReader::new(stream)
        .read_line(&mut status)
        .expect("a status");
    assert!(status.starts_with("HTTP/1.1 201"), "{status}");
    format!("/v2/own/image/blobs/{digest}")
}
