//! Limits that the machine sets to a push: hashing and writing the same bytes, each alone.
//! No server that checks digests durably can be much faster than the slower of the two.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use sha2::{Digest, Sha256};

/// Returns the seconds to hash the bytes in memory, with the faster of two implementations.
/// The CPU's SHA extensions decide which one that is.
pub fn sha256(bytes: &[u8]) -> f64 {
    let start = Instant::now();
    std::hint::black_box(Sha256::digest(bytes));
    let pure_rust = start.elapsed().as_secs_f64();
    let start = Instant::now();
    std::hint::black_box(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes));
    pure_rust.min(start.elapsed().as_secs_f64())
}

/// Returns the seconds to write the bytes to a new file durably, as `dd bs=1M conv=fdatasync`.
pub fn disk(bytes: &[u8], dir: &Path) -> io::Result<f64> {
    let path = dir.join("peers-limit");
    let start = Instant::now();
    let mut file = File::create(&path)?;
    for block in bytes.chunks(1 << 20) {
        file.write_all(block)?;
    }
    file.sync_data()?;
    let taken = start.elapsed().as_secs_f64();
    drop(file);
    std::fs::remove_file(&path)?;
    Ok(taken)
}
