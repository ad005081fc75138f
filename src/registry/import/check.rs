//! Check of the blobs that were taken over, in the background of a running server.

use std::time::{Duration, Instant};

use crate::meta::AffectedImage;
use crate::oci::Digest;
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::verify::comparison::{Comparison, withdraw};
use crate::registry::verify::finding::image_names;
use crate::registry::verify::pace::{Pace, Pacer};

/// Maximum number of unverified blobs read from the database at once.
const BATCH: usize = 500;
/// Interval at which sound blobs are recorded as such.
const RECORDED_EVERY: Duration = Duration::from_secs(1);
/// Maximum number of images that are listed of a damaged blob.
const MAX_IMAGES: usize = 10_000;
/// Maximum number of images that a line of the log names.
const MAX_LOGGED: usize = 20;

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
    /// Reads every unverified blob at a pace, and withdraws those that are damaged.
    ///
    /// Passes the counts so far to `watch` after each blob, with what was found wrong with it.
    pub async fn check_blobs(
        self,
        pace: Pace,
        watch: &mut (dyn FnMut(&BlobCheck, Option<UnsoundBlob>) + Send),
    ) -> Result<BlobCheck, Error> {
        let (mut after, mut counts) = (None, BlobCheck::default());
        let mut pacer = Pacer::new(pace);
        loop {
            let batch = self
                .registry
                .scan(move |reader| reader.unverified_blobs(after, BATCH))
                .await?;
            let Some(last) = batch.last() else {
                return Ok(counts);
            };
            after = Some(last.id);
            let (mut sound, mut recorded) = (Vec::new(), Instant::now());
            for blob in batch {
                let unsound = self
                    .check_blob(blob.digest, &mut pacer, &mut counts, &mut sound)
                    .await?;
                watch(&counts, unsound);
                // many small blobs share a change, and the work of a few seconds is never lost
                if recorded.elapsed() >= RECORDED_EVERY {
                    let sound = std::mem::take(&mut sound);
                    self.registry.verify().confirm(sound).await?;
                    recorded = Instant::now();
                }
            }
            self.registry.verify().confirm(sound).await?;
        }
    }

    /// Reports whether a repository shows a blob: else verification has found its file, and left it to collection.
    async fn is_shown(self, digest: &Digest) -> Result<bool, Error> {
        let named = digest.clone();
        self.registry
            .scan(move |reader| reader.is_shown(&named))
            .await
    }

    async fn check_blob(
        self,
        digest: Digest,
        pacer: &mut Pacer,
        counts: &mut BlobCheck,
        sound: &mut Vec<(Digest, u64)>,
    ) -> Result<Option<UnsoundBlob>, Error> {
        let verify = self.registry.verify();
        let (problem, is_served, is_shown) = match verify.compare(&digest, pacer).await? {
            Comparison::Sound { size } => {
                sound.push((digest, size));
                counts.sound += 1;
                counts.size += size;
                return Ok(None);
            }
            Comparison::Damaged(damage) => {
                let is_shown = self.is_shown(&digest).await?;
                let (named, found) = (digest.clone(), damage.clone());
                let withdrawn = self
                    .registry
                    .meta
                    .write(move |tx| withdraw(tx, &named, &found));
                if !withdrawn.await? {
                    return Ok(None);
                }
                counts.damaged += 1;
                (damage.problem, false, is_shown)
            }
            Comparison::Unreadable(error) => {
                counts.unreadable += 1;
                let is_shown = self.is_shown(&digest).await?;
                (format!("the file cannot be read: {error}"), true, is_shown)
            }
        };
        if !is_shown {
            return Ok(None);
        }
        let named = digest.clone();
        let (images, _) = self
            .registry
            .scan(move |reader| reader.images_needing(&named, MAX_IMAGES))
            .await?;
        Ok(Some(UnsoundBlob {
            digest,
            problem,
            is_served,
            images,
        }))
    }
}

/// A blob that is not what its digest says, or cannot be read.
#[derive(Debug)]
pub struct UnsoundBlob {
    pub digest: Digest,
    /// Description of the damage, in a few words.
    pub problem: String,
    /// True if it could not be read, and stays as it is.
    pub is_served: bool,
    /// Images that need it, the first 10,000.
    pub images: Vec<AffectedImage>,
}

impl UnsoundBlob {
    /// Logs it with the first images that need it.
    pub fn log(&self) {
        let names: Vec<_> = self.image_names().take(MAX_LOGGED).collect();
        tracing::error!(
            digest = %self.digest,
            problem = self.problem,
            is_served = self.is_served,
            images = names.join(" "),
            "a blob that was taken over is damaged: push one of these images again"
        );
    }

    /// Names of the images: their tags, or else their digests.
    pub fn image_names(&self) -> impl Iterator<Item = String> {
        self.images.iter().flat_map(image_names)
    }
}
