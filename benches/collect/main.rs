//! Measures garbage collection: `cargo bench --bench collect [-- idle | sweep | beside]…`.
//!
//! - `idle`: a pass over a store of 1,000,000 blobs without garbage, compared with one over an empty store.
//! - `sweep`: collection of 100,000 deleted images, compared with unlinking as many files in as many directories; and
//!   the time that another writing process waits for the database lock.
//! - `beside`: latency of pushes and pulls during `registry gc --online` over as many images, compared with no collection.
//!
//! A number after the names divides all sizes: `-- sweep 10` makes a tenth.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "benchmarks print, and fail by panicking"
)]

mod beside;
#[path = "../support/connection.rs"]
mod connection;
mod idle;
#[path = "../support/server.rs"]
mod server;
mod statistics;
#[path = "../support/store.rs"]
mod store;
mod sweep;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let divisor = arguments
        .iter()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1);
    let named: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| argument.parse::<usize>().is_err())
        .collect();
    let wants = |name: &str| named.is_empty() || named.contains(&name);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    if wants("idle") {
        runtime.block_on(idle::run(divisor));
    }
    if wants("sweep") {
        runtime.block_on(sweep::run(divisor));
    }
    if wants("beside") {
        runtime.block_on(beside::run(divisor));
    }
}
