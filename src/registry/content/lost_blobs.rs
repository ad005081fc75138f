//! Blobs whose files are missing or have another length, as after a disk failure or a hand that was
//! too quick.
//!
//! To clients such a blob is absent, so that the next push brings it again and repairs it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::blob::BlobStore;
use crate::meta::{self, HeldManifest, Reader};
use crate::oci::Digest;

/// Maximum number of images that a line of the log names.
const MAX_IMAGES: usize = 10;

/// Blobs that were found lost, and not repaired since.
#[derive(Default)]
pub(in crate::registry) struct LostBlobs {
    digests: Mutex<HashSet<Digest>>,
    /// Their number, so that requests take the lock only if there are any.
    count: AtomicU64,
}

impl LostBlobs {
    /// Logs a lost blob with the images that need it, once until it is repaired.
    pub fn report(&self, meta: &Reader<'_>, digest: &Digest) -> Result<(), meta::Error> {
        {
            let mut digests = self.digests.lock();
            if !digests.insert(digest.clone()) {
                return Ok(());
            }
            self.count.store(digests.len() as u64, Ordering::Relaxed);
        }
        let mut images = Vec::new();
        for manifest in meta.manifests_needing(digest, MAX_IMAGES)? {
            images.extend(names(meta, &manifest)?);
        }
        images.truncate(MAX_IMAGES);
        tracing::error!(
            %digest,
            images = images.join(" "),
            "blob file is missing or has another length: push one of these images again to repair it"
        );
        Ok(())
    }

    /// Forgets a blob that is there again, or was removed.
    pub fn forget(&self, digest: &Digest) {
        if self.count() > 0 {
            let mut digests = self.digests.lock();
            digests.remove(digest);
            self.count.store(digests.len() as u64, Ordering::Relaxed);
        }
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// The blob store, with what was found lost in it.
#[derive(Clone)]
pub(in crate::registry) struct BlobFiles {
    pub blobs: Arc<BlobStore>,
    pub lost: Arc<LostBlobs>,
}

impl BlobFiles {
    /// Reports whether a blob's file is missing or has another length; logs that.
    pub fn is_lost(
        &self,
        meta: &Reader<'_>,
        digest: &Digest,
        size: u64,
    ) -> Result<bool, meta::Error> {
        let is_lost = self.blobs.is_lost(digest, size);
        if is_lost {
            self.lost.report(meta, digest)?;
        }
        Ok(is_lost)
    }
}

/// Names of an image: its tags, or else its digest.
fn names(meta: &Reader<'_>, manifest: &HeldManifest) -> Result<Vec<String>, meta::Error> {
    let repository = &manifest.repository;
    let (tags, _) = meta.tags_of_manifest(manifest.id, MAX_IMAGES)?;
    Ok(match &tags[..] {
        [] => vec![format!("{repository}@{}", manifest.digest)],
        tags => tags
            .iter()
            .map(|tag| format!("{repository}:{tag}"))
            .collect(),
    })
}
