//! What collection costs: `cargo bench --bench collect [-- idle | sweep | beside]…`.
//!
//! - `idle`: a pass over a store of 1,000,000 blobs without garbage, beside one over an empty store.
//! - `sweep`: 100,000 deleted images, collected, beside plain unlinking of as many files in as many directories; and how
//!   long another process that wants to write is kept from it.
//! - `beside`: pushes and pulls while `registry gc --online` works through as many, beside the same without it.
//!
//! Numbers after the names scale all of it: `-- sweep 10` makes a tenth.

mod beside;
mod idle;
mod store;
mod sweep;

use std::time::Duration;

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

/// The share of `times` below which so many of them are; sorts them.
fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    times
        .get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}
