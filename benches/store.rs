//! Compares a full store with an empty one: `cargo bench --bench store [REPOSITORIES [TAGS]]`.
//!
//! Generates a store (100,000 repositories and 1,000,000 tags by default), serves it and an empty one, and measures both
//! in turns: time from start to first answer, a manifest by tag, a page of tags, a page of the catalogue.
//! Prints the medians and their ratio. Ratios near 1 show that cost follows the request, not the store.

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
#[path = "support/server.rs"]
mod server;
#[path = "support/store.rs"]
mod store;

use std::path::Path;
use std::time::{Duration, Instant};

use connection::Connection;
use server::Server;
use store::Plan;

const MEDIA_TYPE: &str = "application/octet-stream";
const STARTS: usize = 15;
const REQUESTS: usize = 3000;
const PAGES: usize = 300;

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let repositories = numbers.first().copied().unwrap_or(100_000);
    let tags = numbers.get(1).copied().unwrap_or(repositories * 10);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (full, empty) = (
        directory.path().join("full"),
        directory.path().join("empty"),
    );
    generate(&full, &empty, repositories, tags);

    println!(
        "{:20} {:>12} {:>12} {:>7}",
        "median", "full", "empty", "ratio"
    );
    let starts = in_turns(STARTS, || time_start(&full), || time_start(&empty));
    report("start to answer", starts);
    let servers = [&full, &empty].map(|root| Server::start(root, &[]));
    let [mut full, mut empty] = servers
        .each_ref()
        .map(|server| Connection::to(&server.address));
    for request in requests(repositories) {
        let times = in_turns(
            request.count,
            || time(&mut full, &request.of_full),
            || time(&mut empty, &request.of_empty),
        );
        report(request.label, times);
    }
}

/// Generates both stores, with pages of the same length.
fn generate(full: &Path, empty: &Path, repositories: usize, tags: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let plan = Plan {
        repositories,
        manifests: 1,
        tags: tags / repositories,
        blobs: 0,
        has_files: false,
    };
    let started = Instant::now();
    runtime.block_on(store::generate(full, plan));
    println!(
        "generated {repositories} repositories and {tags} tags in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let one = Plan {
        repositories: 1,
        ..plan
    };
    runtime.block_on(store::generate(empty, one));
    let database = std::fs::metadata(full.join("registry.db")).expect("a database");
    println!("database size: {} MiB", database.len() >> 20);
}

/// A request that both stores answer alike.
struct Request {
    label: &'static str,
    count: usize,
    of_full: String,
    of_empty: String,
}

fn requests(repositories: usize) -> [Request; 4] {
    let (middle, only) = (store::name(repositories / 2), store::name(0));
    let in_repository = |label, count, path: &str| Request {
        label,
        count,
        of_full: format!("/v2/{middle}/{path}"),
        of_empty: format!("/v2/{only}/{path}"),
    };
    [
        in_repository("manifest by tag", REQUESTS, "manifests/v1"),
        in_repository("unknown tag", REQUESTS, "manifests/none"),
        in_repository("page of tags", PAGES, "tags/list?n=10"),
        Request {
            label: "page of catalogue",
            count: PAGES,
            of_full: format!("/v2/_catalog?n=1&last={middle}"),
            of_empty: "/v2/_catalog?n=1".to_owned(),
        },
    ]
}

/// Measures A and B alternately and returns the medians.
fn in_turns(
    count: usize,
    mut a: impl FnMut() -> Duration,
    mut b: impl FnMut() -> Duration,
) -> [Duration; 2] {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for _ in 0..count {
        of_a.push(a());
        of_b.push(b());
    }
    [of_a, of_b].map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}

fn report(label: &str, [full, empty]: [Duration; 2]) {
    let micros = |time: Duration| format!("{:.1} us", time.as_secs_f64() * 1e6);
    println!(
        "{label:20} {:>12} {:>12} {:>7.2}",
        micros(full),
        micros(empty),
        full.as_secs_f64() / empty.as_secs_f64()
    );
}

fn time_start(directory: &Path) -> Duration {
    let started = Instant::now();
    let server = Server::start(directory, &[]);
    Connection::to(&server.address).request("GET", "/v2/", MEDIA_TYPE, b"");
    started.elapsed()
}

fn time(connection: &mut Connection, path: &str) -> Duration {
    let started = Instant::now();
    connection.request("GET", path, MEDIA_TYPE, b"");
    started.elapsed()
}
