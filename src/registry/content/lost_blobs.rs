//! Blobs whose files are missing, have another length or cannot be opened, as after a disk failure or a hand that was
//! too quick.
//!
//! To clients such a blob is absent, so that the next push brings it again and repairs it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::blob::{BlobStore, FileFault};
use crate::meta::{self, Reader};
use crate::oci::Digest;
use crate::registry::content::damage_log::names_needing;

/// Blobs that were found lost, and not repaired since.
#[derive(Default)]
pub(in crate::registry) struct LostBlobs {
    digests: Mutex<HashSet<Digest>>,
    /// Their number, so that requests take the lock only if there are any.
    count: AtomicU64,
}

impl LostBlobs {
    /// Logs a lost blob with the images that need it, once until it is repaired.
    pub fn report(
        &self,
        meta: &Reader<'_>,
        digest: &Digest,
        fault: &FileFault,
    ) -> Result<(), meta::Error> {
        {
            let mut digests = self.digests.lock();
            if !digests.insert(digest.clone()) {
                return Ok(());
            }
            self.count.store(digests.len() as u64, Ordering::Relaxed);
        }
        let images = names_needing(meta, digest)?;
        match fault {
            FileFault::Lost => tracing::error!(
                %digest,
                images,
                "blob file is missing or has another length: push one of these images again to repair it"
            ),
            FileFault::Unreadable(error) => tracing::error!(
                %digest,
                images,
                %error,
                "blob file cannot be opened: mend that, or push one of these images again to replace it"
            ),
        }
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
    /// Reports whether a blob's file is of no use; logs that.
    pub fn is_lost(
        &self,
        meta: &Reader<'_>,
        digest: &Digest,
        size: u64,
    ) -> Result<bool, meta::Error> {
        match self.blobs.fault_of(digest, size) {
            Ok(Some(fault)) => {
                self.lost.report(meta, digest, &fault)?;
                Ok(true)
            }
            // what cannot be seen may be there
            Ok(None) | Err(_) => Ok(false),
        }
    }
}
