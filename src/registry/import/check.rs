//! Comparison of blobs with their digests: of those that were taken over, in the background of a running server.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use crate::meta::WithdrawnFrom;
use crate::oci::Digest;
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::import::record::withdraw;

/// Maximum number of unverified blobs read from the database at once.
const BATCH: usize = 500;

/// Result of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlobCheck {
    /// Blobs that are what their digests say.
    pub sound: u64,
    /// Blobs that are not served any more.
    pub damaged: u64,
    /// Blobs that could not be read, and stay unverified.
    pub unreadable: u64,
}

/// Result of comparing one blob with its digest.
pub(in crate::registry) enum Comparison {
    /// Its size is in bytes.
    Sound {
        size: u64,
    },
    /// It has another digest, or no file.
    Damaged {
        found: Option<Digest>,
    },
    Unreadable(io::Error),
}

impl Import<'_> {
    /// Reads every unverified blob, at half the speed of the disk, and withdraws those that are damaged.
    ///
    /// Logs each blob that is damaged, with the images that name it.
    pub async fn check_blobs(self) -> Result<BlobCheck, Error> {
        let (mut after, mut counts) = (None, BlobCheck::default());
        loop {
            let batch = self
                .registry
                .scan(move |reader| reader.unverified_blobs(after, BATCH))
                .await?;
            let Some(last) = batch.last() else {
                return Ok(counts);
            };
            after = Some(last.id);
            for blob in batch {
                let begun = Instant::now();
                self.check_blob(blob.digest, &mut counts).await?;
                tokio::time::sleep(begun.elapsed()).await;
            }
        }
    }

    async fn check_blob(self, digest: Digest, counts: &mut BlobCheck) -> Result<(), Error> {
        match self.compare(&digest).await? {
            Comparison::Sound { size } => {
                self.confirm(digest, size).await?;
                counts.sound += 1;
            }
            Comparison::Damaged { found } => {
                let named = digest.clone();
                let affected = self
                    .registry
                    .meta
                    .write(move |tx| withdraw(tx, &named))
                    .await?;
                if let Some(affected) = affected {
                    log_damage(&digest, found.as_ref(), &affected);
                    counts.damaged += 1;
                }
            }
            Comparison::Unreadable(error) => {
                tracing::error!(%digest, %error, "cannot read a blob that was taken over");
                counts.unreadable += 1;
            }
        }
        Ok(())
    }

    /// Compares a blob's file with its digest.
    pub(in crate::registry) async fn compare(self, digest: &Digest) -> Result<Comparison, Error> {
        let (blobs, wanted) = (Arc::clone(&self.registry.blobs), digest.clone());
        Ok(match blocking(move || blobs.hash_blob(&wanted)).await? {
            Ok((found, size)) if found == *digest => Comparison::Sound { size },
            Ok((found, _)) => Comparison::Damaged { found: Some(found) },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Comparison::Damaged { found: None }
            }
            Err(error) => Comparison::Unreadable(error),
        })
    }

    /// Records that a blob is what its digest says.
    pub(in crate::registry) async fn confirm(self, digest: Digest, size: u64) -> Result<(), Error> {
        self.registry
            .meta
            .write_lazily(move |tx| {
                if let Some(blob) = tx.blob(&digest)? {
                    tx.confirm_blob(blob, size)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }
}

fn log_damage(digest: &Digest, found: Option<&Digest>, affected: &[WithdrawnFrom]) {
    let found = found.map_or("no file", Digest::as_str);
    tracing::error!(%digest, found, "a blob that was taken over is damaged and not served: push it again");
    for image in affected {
        tracing::error!(
            %digest,
            repository = image.repository,
            manifest = %image.manifest,
            tags = image.tags.join(","),
            "this image needs the damaged blob"
        );
    }
}
