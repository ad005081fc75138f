//! Check of the blobs that were taken over, in the background of a running server.

use std::time::Instant;

use crate::meta::WithdrawnFrom;
use crate::oci::Digest;
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::verify::comparison::{Comparison, withdraw};

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
        match self.registry.verify().compare(&digest).await? {
            Comparison::Sound { size } => {
                self.registry.verify().confirm(digest, size).await?;
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
