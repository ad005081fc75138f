//! Bytes to push, and their digests.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A fast generator of bytes that no server can compress or has stored before.
pub struct Random(u64);

impl Random {
    /// Seeds by the clock, so that no two runs push the same bytes.
    pub fn new(salt: u64) -> Random {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_nanos() as u64);
        Random(mix(now ^ mix(salt)))
    }

    /// SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            piece.copy_from_slice(&word[..piece.len()]);
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Bytes with the digest that names them.
pub struct Blob {
    pub bytes: Vec<u8>,
    pub digest: String,
}

impl Blob {
    pub fn new(bytes: Vec<u8>) -> Blob {
        let digest = digest(&bytes);
        Blob { bytes, digest }
    }

    pub fn random(random: &mut Random, size: usize) -> Blob {
        let mut bytes = vec![0; size];
        random.fill(&mut bytes);
        Blob::new(bytes)
    }
}

/// Returns `sha256:<64 hex digits>`.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
}
