//! Blobs whose files are missing or have another length, as after a disk failure or a hand that was
//! too quick.
//!
//! To clients such a blob is absent, so that the next push brings it again and repairs it.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::meta::{self, HeldManifest, Reader};
use crate::oci::Digest;

/// Maximum number of images that a line of the log names.
const MAX_IMAGES: usize = 10;

/// Blobs that were found lost, and not repaired since.
#[derive(Default)]
pub(in crate::registry) struct LostBlobs(Mutex<HashSet<Digest>>);

impl LostBlobs {
    /// Logs a lost blob with the images that need it, once until it is repaired.
    pub fn report(&self, meta: &Reader<'_>, digest: &Digest) -> Result<(), meta::Error> {
        if !self.0.lock().insert(digest.clone()) {
            return Ok(());
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
        let mut lost = self.0.lock();
        if !lost.is_empty() {
            lost.remove(digest);
        }
    }

    pub fn count(&self) -> u64 {
        self.0.lock().len() as u64
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
