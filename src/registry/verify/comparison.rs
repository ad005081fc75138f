//! Comparison of a blob's file with its digest, and what follows from it.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::blob::{BlobHash, Priority, is_disk_failure};
use crate::meta::{WithdrawnFile, WriteTx};
use crate::oci::Digest;
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Verify;
use crate::registry::verify::pace::Pace;

/// Result of comparing one blob with its digest.
pub(in crate::registry) enum Comparison {
    /// Its size is in bytes.
    Sound { size: u64 },
    /// It has another digest, no file, or the disk cannot read it.
    Damaged(Damage),
    /// It could not be read, for a reason that may be mended.
    Unreadable(io::Error),
}

/// Damage of a blob.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Damage {
    /// In a few words.
    pub problem: String,
    pub file: WithdrawnFile,
}

impl Verify<'_> {
    /// Compares a blob's file with its digest.
    pub(in crate::registry) async fn compare(
        self,
        digest: &Digest,
        pace: Pace,
    ) -> Result<Comparison, Error> {
        let (blobs, wanted) = (Arc::clone(&self.registry.blobs), digest.clone());
        let priority = match pace {
            Pace::Background => Priority::Idle,
            Pace::Half | Pace::MebibytesPerSecond(_) => Priority::Normal,
        };
        let mut hash = match blocking(move || blobs.begin_hash(&wanted, priority)).await? {
            Ok(hash) => hash,
            Err(error) => return Ok(failed(error)),
        };
        loop {
            let (kept, outcome, worked) = blocking(move || step(hash)).await?;
            hash = kept;
            match outcome {
                Ok(0) => break,
                Ok(read) => pace.rest(&self.registry.blobs, worked, read as u64).await,
                Err(error) => return Ok(failed(error)),
            }
        }
        let (found, size) = hash.finish();
        Ok(if found == *digest {
            Comparison::Sound { size }
        } else {
            Comparison::Damaged(Damage {
                problem: format!("the file has digest {found}"),
                file: WithdrawnFile::Remove,
            })
        })
    }

    /// Records that blobs, with their sizes, are what their digests say.
    pub(in crate::registry) async fn confirm(self, blobs: Vec<(Digest, u64)>) -> Result<(), Error> {
        self.registry
            .meta
            .write_lazily(move |tx| {
                for (digest, size) in blobs {
                    if let Some(blob) = tx.blob(&digest)? {
                        tx.confirm_blob(blob, size)?;
                    }
                }
                Ok::<_, Error>(())
            })
            .await
    }
}

fn step(mut hash: BlobHash) -> (BlobHash, io::Result<usize>, Duration) {
    let begun = Instant::now();
    let outcome = hash.step();
    (hash, outcome, begun.elapsed())
}

/// Tells damage from what may be mended.
fn failed(error: io::Error) -> Comparison {
    match error.kind() {
        ErrorKind::NotFound => Comparison::Damaged(Damage {
            problem: "the file is missing".to_owned(),
            file: WithdrawnFile::Remove,
        }),
        _ if is_disk_failure(&error) => Comparison::Damaged(Damage {
            problem: format!("the disk cannot read the file: {error}"),
            // whoever repairs the disk may want it
            file: WithdrawnFile::Keep,
        }),
        _ => Comparison::Unreadable(error),
    }
}

/// Takes a blob that nobody has verified out of all repositories; reports whether it did: a verified one stays.
pub(in crate::registry) fn withdraw(
    tx: &WriteTx<'_>,
    digest: &Digest,
    damage: &Damage,
) -> Result<bool, Error> {
    match tx.blob(digest)? {
        Some(blob) if tx.is_unverified(blob)? => {
            tx.withdraw_blob(digest, blob, &damage.problem, damage.file)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}
