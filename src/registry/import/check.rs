//! Check of the blobs that were taken over, in the background of a running server.

use crate::oci::Digest;
use crate::registry::content::damage_log::names_needing;
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::verify::comparison::{Comparison, withdraw};
use crate::registry::verify::pace::Pace;

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
                self.check_blob(blob.digest, &mut counts).await?;
            }
        }
    }

    async fn check_blob(self, digest: Digest, counts: &mut BlobCheck) -> Result<(), Error> {
        match self.registry.verify().compare(&digest, Pace::Half).await? {
            Comparison::Sound { size } => {
                self.registry.verify().confirm(digest, size).await?;
                counts.sound += 1;
            }
            Comparison::Damaged(damage) => {
                let (named, found) = (digest.clone(), damage.clone());
                let is_withdrawn = self
                    .registry
                    .meta
                    .write(move |tx| withdraw(tx, &named, &found))
                    .await?;
                if is_withdrawn {
                    let named = digest.clone();
                    let images = self
                        .registry
                        .scan(move |reader| names_needing(reader, &named))
                        .await?;
                    tracing::error!(
                        %digest,
                        problem = damage.problem,
                        images,
                        "a blob that was taken over is damaged and not served: push one of these images again"
                    );
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
