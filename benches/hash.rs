//! Hashing: `cargo bench --bench hash [MIB [ROUNDS]]`.
//!
//! Hashes the same bytes with `sha2`, with `aws-lc-rs` and with the registry's own [`Hasher`], in batches of 64 KiB and in
//! turns, and prints medians and ratios. Then it saves and restores a hash's state, beside hashing the file again. aws-lc
//! shows what it does without SHA extensions with `OPENSSL_ia32cap=:~0x20000000`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "benchmarks print, and fail by panicking"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256, SHA512};
use sha2::{Digest, Sha256, Sha512};
use tarkeep::blob::Hasher;
use tarkeep::oci::Algorithm;

const BATCH: usize = 64 << 10;

/// Hashes a whole content.
type Hash = fn(&[u8]);

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let mebibytes = numbers.first().copied().unwrap_or(64);
    let rounds = numbers.get(1).copied().unwrap_or(11);
    let content: Vec<u8> = (0..mebibytes << 20)
        .map(|place| (place.wrapping_mul(0x9e37_79b9) >> 13) as u8)
        .collect();
    println!("{mebibytes} MiB in batches of 64 KiB, medians of {rounds} rounds");
    for algorithm in Algorithm::ALL {
        compare(algorithm, &content, rounds);
        state(algorithm, &content);
    }
}

fn compare(algorithm: Algorithm, content: &[u8], rounds: usize) {
    let (sha2, aws_lc): (Hash, Hash) = match algorithm {
        Algorithm::Sha256 => (sha2::<Sha256>, |content| aws_lc(&SHA256, content)),
        Algorithm::Sha512 => (sha2::<Sha512>, |content| aws_lc(&SHA512, content)),
    };
    let hasher = || {
        let mut hasher = Hasher::new(algorithm);
        content.chunks(BATCH).for_each(|batch| hasher.update(batch));
        black_box(hasher.finish());
    };
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        times[0].push(timed(|| sha2(content)));
        times[1].push(timed(|| aws_lc(content)));
        times[2].push(timed(hasher));
    }
    let [sha2, aws_lc, hasher] = times.map(|times| rate(content.len(), times));
    println!(
        "{}: sha2 {sha2:.0} MB/s, aws-lc-rs {aws_lc:.0} MB/s, sha2 to aws-lc-rs {:.2}x; Hasher {hasher:.0} MB/s",
        algorithm.as_str(),
        sha2 / aws_lc,
    );
}

/// Megabytes in a second, of the median time.
fn rate(bytes: usize, mut times: Vec<Duration>) -> f64 {
    times.sort();
    bytes as f64 / times[times.len() / 2].as_secs_f64() / 1e6
}

fn sha2<H: Digest>(content: &[u8]) {
    let mut hash = H::new();
    content.chunks(BATCH).for_each(|batch| hash.update(batch));
    black_box(hash.finalize());
}

fn aws_lc(algorithm: &'static aws_lc_rs::digest::Algorithm, content: &[u8]) {
    let mut context = Context::new(algorithm);
    content
        .chunks(BATCH)
        .for_each(|batch| context.update(batch));
    black_box(context.finish());
}

/// Measures resuming a hash with a saved state and without one.
fn state(algorithm: Algorithm, content: &[u8]) {
    const TIMES: u32 = 10_000;
    let mut hasher = Hasher::new(algorithm);
    let again = timed(|| content.chunks(BATCH).for_each(|batch| hasher.update(batch)));
    let Some(saved) = hasher.save() else {
        println!("{}: its state cannot be saved", algorithm.as_str());
        return;
    };
    let save = timed(|| (0..TIMES).for_each(|_| drop(black_box(hasher.save()))));
    let restore = timed(|| {
        for _ in 0..TIMES {
            black_box(Hasher::restore(&saved, algorithm, hasher.length()));
        }
    });
    println!(
        "{}: {} bytes of state, saved in {:?} and restored in {:?}; hashed again in {again:?}",
        algorithm.as_str(),
        saved.len(),
        save / TIMES,
        restore / TIMES,
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
