//! Comparison of a blob's file with its digest, and what follows from it.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::blob::{BlobHash, is_disk_failure};
use crate::events::EventKind;
use crate::meta::{Actor, EventPlace, EventSubject, WithdrawnFile, WriteTx, now};
use crate::oci::Digest;
use crate::registry::blocking::blocking;
use crate::registry::content::blob_events::blob_target;
use crate::registry::error::Error;
use crate::registry::facades::Verify;
use crate::registry::verify::pace::Pacer;

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
        pacer: &mut Pacer,
    ) -> Result<Comparison, Error> {
        let (blobs, wanted) = (Arc::clone(&self.registry.blobs), digest.clone());
        let priority = pacer.priority();
        let begin = move || step(Instant::now(), || blobs.begin_hash(&wanted, priority));
        let mut stepped = blocking(begin).await?;
        let hash = loop {
            let Step { hash, read, worked } = match stepped {
                Ok(step) => step,
                Err(error) => return Ok(failed(error)),
            };
            pacer.rest(&self.registry.blobs, worked, read).await;
            if hash.is_at_end() {
                break hash;
            }
            stepped = blocking(move || step(Instant::now(), || Ok(hash))).await?;
        };
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

/// A blob's file after one more piece of it.
struct Step {
    hash: BlobHash,
    /// In bytes.
    read: u64,
    worked: Duration,
}

fn step(begun: Instant, file: impl FnOnce() -> io::Result<BlobHash>) -> io::Result<Step> {
    let mut hash = file()?;
    let read = hash.step()? as u64;
    Ok(Step {
        hash,
        read,
        worked: begun.elapsed(),
    })
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
            let subject = || {
                Ok(EventSubject {
                    target: Some(blob_target(digest, blob.size)),
                    detail: Some(&damage.problem),
                    ..EventSubject::at(EventPlace::Whole)
                })
            };
            tx.tell(EventKind::DamageFound, &Actor::default(), now(), subject)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}
