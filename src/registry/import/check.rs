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
    /// Bytes of the sound ones.
    pub size: u64,
}

impl Import<'_> {
    /// Reads every unverified blob, at half the speed of the disk, and withdraws those that are damaged.
    ///
    /// Passes the counts so far to `watch` after each blob, with what was found wrong with it.
    pub async fn check_blobs(
        self,
        watch: &mut (dyn FnMut(&BlobCheck, Option<UnsoundBlob>) + Send),
    ) -> Result<BlobCheck, Error> {
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
                let unsound = self.check_blob(blob.digest, &mut counts).await?;
                watch(&counts, unsound);
                tokio::time::sleep(begun.elapsed()).await;
            }
        }
    }

    async fn check_blob(
        self,
        digest: Digest,
        counts: &mut BlobCheck,
    ) -> Result<Option<UnsoundBlob>, Error> {
        let (found, affected) = match self.registry.verify().compare(&digest).await? {
            Comparison::Sound { size } => {
                self.registry.verify().confirm(digest, size).await?;
                counts.sound += 1;
                counts.size += size;
                return Ok(None);
            }
            Comparison::Damaged { found } => {
                let named = digest.clone();
                let affected = self
                    .registry
                    .meta
                    .write(move |tx| withdraw(tx, &named))
                    .await?;
                let Some(affected) = affected else {
                    return Ok(None);
                };
                counts.damaged += 1;
                let found = found.as_ref().map_or("no file", Digest::as_str);
                (Ok(found.to_owned()), affected)
            }
            Comparison::Unreadable(error) => {
                counts.unreadable += 1;
                (Err(error), Vec::new())
            }
        };
        Ok(Some(UnsoundBlob {
            digest,
            found,
            affected,
        }))
    }
}

/// A blob that is not what its digest says, or cannot be read.
#[derive(Debug)]
pub struct UnsoundBlob {
    pub digest: Digest,
    /// Digest of its content, or the words "no file".
    pub found: Result<String, std::io::Error>,
    /// Images that name it.
    pub affected: Vec<WithdrawnFrom>,
}

impl UnsoundBlob {
    /// Logs it with the images that name it.
    pub fn log(&self) {
        let digest = &self.digest;
        match &self.found {
            Ok(found) => tracing::error!(
                %digest,
                found,
                "a blob that was taken over is damaged and not served: push it again"
            ),
            Err(error) => {
                tracing::error!(%digest, %error, "cannot read a blob that was taken over");
            }
        }
        for image in &self.affected {
            tracing::error!(
                %digest,
                repository = image.repository,
                manifest = %image.manifest,
                tags = image.tags.join(","),
                "this image needs the damaged blob"
            );
        }
    }
}
