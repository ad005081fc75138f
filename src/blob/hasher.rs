//! Content hashes, computed by the fastest implementation for this processor.
//!
//! `sha2` hashes wherever it has special instructions of the processor: it is as fast as `aws-lc-rs` then, and its state can
//! be saved, so that an upload continues after a restart without reading its file back. Elsewhere `aws-lc-rs` is about twice
//! as fast, and hashes although its state cannot be saved.
//! `cargo bench --bench hash` compares the two.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use aws_lc_rs::digest::{Context, SHA256, SHA512};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};

use crate::oci::{Algorithm, Digest};

/// Version of [`Hasher::save`]'s layout, and of the state that `sha2` 0.11 serializes.
const FORMAT: u8 = 1;
/// Buffer size for reading a file, in bytes.
const READ_SIZE: usize = 256 << 10;
/// Length of a saved state's checksum, in bytes.
const CHECKSUM: usize = 8;

/// A running hash.
#[derive(Clone)]
pub struct Hasher {
    state: State,
    /// Bytes hashed so far.
    length: u64,
}

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    /// Large, and moved with every batch.
    Sha512(Box<Sha512>),
    AwsLc(Algorithm, Context),
}

impl Hasher {
    /// Starts a hash with the fastest implementation.
    pub fn new(algorithm: Algorithm) -> Self {
        if is_accelerated(algorithm) {
            Self::with_sha2(algorithm)
        } else {
            Self::with_aws_lc(algorithm)
        }
    }

    /// Hashes a whole file. Blocks.
    pub(super) fn of_file(file: &File, algorithm: Algorithm) -> io::Result<Self> {
        let mut hasher = Self::new(algorithm);
        let mut buffer = vec![0; READ_SIZE];
        let mut offset = 0;
        loop {
            match file.read_at(&mut buffer, offset) {
                Ok(0) => return Ok(hasher),
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn with_sha2(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Box::default()),
        };
        Self { state, length: 0 }
    }

    fn with_aws_lc(algorithm: Algorithm) -> Self {
        let implementation = match algorithm {
            Algorithm::Sha256 => &SHA256,
            Algorithm::Sha512 => &SHA512,
        };
        let state = State::AwsLc(algorithm, Context::new(implementation));
        Self { state, length: 0 }
    }

    /// The algorithm of the digest.
    pub fn algorithm(&self) -> Algorithm {
        match &self.state {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
            State::AwsLc(algorithm, _) => *algorithm,
        }
    }

    /// Number of bytes hashed so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Hashes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(hash) => hash.update(bytes),
            State::Sha512(hash) => hash.update(bytes),
            State::AwsLc(_, context) => context.update(bytes),
        }
        self.length += bytes.len() as u64;
    }

    /// Returns the digest of everything passed to [`Self::update`].
    pub fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        match self.state {
            State::Sha256(hash) => Digest::from_hash(algorithm, &hash.finalize()),
            State::Sha512(hash) => Digest::from_hash(algorithm, &hash.finalize()),
            State::AwsLc(_, context) => Digest::from_hash(algorithm, context.finish().as_ref()),
        }
    }

    /// Returns the digest of `bytes`.
    pub fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        match algorithm {
            Algorithm::Sha256 => Digest::from_hash(algorithm, &Sha256::digest(bytes)),
            Algorithm::Sha512 => Digest::from_hash(algorithm, &Sha512::digest(bytes)),
        }
    }

    /// Serializes the hash for [`Self::restore`]; `None` if the implementation cannot.
    ///
    /// Format, algorithm, length (little endian), `sha2`'s state, and a checksum of all these.
    pub fn save(&self) -> Option<Vec<u8>> {
        let mut saved = vec![FORMAT, tag(self.algorithm())];
        saved.extend(self.length.to_le_bytes());
        match &self.state {
            State::Sha256(hash) => saved.extend(hash.serialize()),
            State::Sha512(hash) => saved.extend(hash.serialize()),
            State::AwsLc(..) => return None,
        }
        saved.extend(checksum(&saved));
        Some(saved)
    }

    /// Continues a saved hash; `None` if it is damaged, or not of `algorithm` and the first `length` bytes.
    pub fn restore(saved: &[u8], algorithm: Algorithm, length: u64) -> Option<Self> {
        let (content, sum) = saved.split_last_chunk::<CHECKSUM>()?;
        if checksum(content) != *sum {
            return None;
        }
        let state = content
            .strip_prefix(&[FORMAT, tag(algorithm)])?
            .strip_prefix(&length.to_le_bytes())?;
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(deserialize(state)?),
            Algorithm::Sha512 => State::Sha512(Box::new(deserialize(state)?)),
        };
        Some(Self { state, length })
    }
}

fn deserialize<H: SerializableState>(state: &[u8]) -> Option<H> {
    let state = <&SerializedState<H>>::try_from(state).ok()?;
    H::deserialize(state).ok()
}

fn tag(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha256 => 1,
        Algorithm::Sha512 => 2,
    }
}

/// Detects damage: a state with a flipped bit would still deserialize, and give a wrong digest.
fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&Sha256::digest(content)[..CHECKSUM]);
    sum
}

/// Reports whether `sha2` is as fast as `aws-lc-rs`, with special instructions of this processor.
///
/// SHA extensions do not compute SHA-512. But of the processors measured, those without them were a third slower with
/// `sha2`, AVX2 or not, and those with both were not.
#[cfg(target_arch = "x86_64")]
fn is_accelerated(algorithm: Algorithm) -> bool {
    is_x86_feature_detected!("sha")
        && match algorithm {
            Algorithm::Sha256 => is_x86_feature_detected!("sse4.1"),
            Algorithm::Sha512 => is_x86_feature_detected!("avx2"),
        }
}

#[cfg(target_arch = "aarch64")]
fn is_accelerated(algorithm: Algorithm) -> bool {
    match algorithm {
        Algorithm::Sha256 => std::arch::is_aarch64_feature_detected!("sha2"),
        Algorithm::Sha512 => std::arch::is_aarch64_feature_detected!("sha3"),
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn is_accelerated(_algorithm: Algorithm) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Vec<u8> {
        (0..=255).cycle().take(1000).collect()
    }

    #[test]
    fn both_implementations_agree() {
        for algorithm in Algorithm::ALL {
            let expected = Hasher::digest(algorithm, &content());
            for mut hasher in [
                Hasher::new(algorithm),
                Hasher::with_sha2(algorithm),
                Hasher::with_aws_lc(algorithm),
            ] {
                content().chunks(77).for_each(|chunk| hasher.update(chunk));
                assert_eq!((hasher.algorithm(), hasher.length()), (algorithm, 1000));
                assert_eq!(hasher.finish(), expected);
            }
        }
    }

    #[test]
    fn a_restored_hash_goes_on_where_it_was_saved() {
        for algorithm in Algorithm::ALL {
            for cut in [0, 1, 63, 64, 65, 127, 128, 129, 999, 1000] {
                let mut hasher = Hasher::with_sha2(algorithm);
                hasher.update(&content()[..cut]);
                let saved = hasher.save().unwrap();
                let mut restored = Hasher::restore(&saved, algorithm, cut as u64).unwrap();
                restored.update(&content()[cut..]);
                assert_eq!(restored.length(), 1000);
                assert_eq!(restored.finish(), Hasher::digest(algorithm, &content()));
            }
            assert_eq!(Hasher::with_aws_lc(algorithm).save(), None);
        }
    }

    #[test]
    fn a_damaged_or_foreign_state_is_rejected() {
        let mut hasher = Hasher::with_sha2(Algorithm::Sha256);
        hasher.update(&content());
        let saved = hasher.save().unwrap();
        let restore = |saved: &[u8]| Hasher::restore(saved, Algorithm::Sha256, 1000);
        assert!(restore(&saved).is_some());
        for bit in 0..saved.len() * 8 {
            let mut damaged = saved.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(restore(&damaged).is_none(), "bit {bit}");
        }
        for length in 0..saved.len() {
            assert!(restore(&saved[..length]).is_none(), "{length} bytes");
        }
        assert!(restore(&[&*saved, &[0]].concat()).is_none());
        assert!(Hasher::restore(&saved, Algorithm::Sha512, 1000).is_none());
        assert!(Hasher::restore(&saved, Algorithm::Sha256, 999).is_none());
        let mut newer = saved[..saved.len() - CHECKSUM].to_vec();
        newer[0] += 1;
        newer.extend(checksum(&newer));
        assert!(restore(&newer).is_none());
    }

    /// A failure here means that `sha2` serializes otherwise: raise `FORMAT`, lest old rows be misread.
    #[test]
    fn the_saved_form_is_frozen() {
        for (algorithm, expected) in [
            (
                Algorithm::Sha256,
                "61a44759b6b0a6a942b6159251bc16f574f332776da1eb9c03de4d73bd2ea5c0",
            ),
            (
                Algorithm::Sha512,
                "6a59a451c4313ebee84f4d9b5bd7d9752521b91990f6e7fcdf2e849b6d8ad151",
            ),
        ] {
            let mut hasher = Hasher::with_sha2(algorithm);
            hasher.update(&content());
            let saved = hasher.save().unwrap();
            assert_eq!(Hasher::digest(Algorithm::Sha256, &saved).hex(), expected);
        }
    }
}
