//! Claims of blobs, so that no two threads bring the same one.

use std::collections::HashSet;

use parking_lot::{Condvar, Mutex};

use crate::import::remote::RemoteBlob;
use crate::oci::Digest;
use crate::registry::ImportedBlob;

/// Blobs that threads are bringing.
#[derive(Default)]
pub(super) struct Claims {
    digests: Mutex<HashSet<Digest>>,
    freed: Condvar,
}

/// Blobs that a thread brings, until this is dropped.
pub(super) struct Claim<'c, B: HasDigest> {
    claims: &'c Claims,
    pub blobs: Vec<B>,
}

/// A blob, whichever way it comes.
pub(super) trait HasDigest {
    fn digest(&self) -> &Digest;
}

impl HasDigest for ImportedBlob {
    fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl HasDigest for RemoteBlob {
    fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl Claims {
    /// Claims those blobs that no other thread brings, at least one, and returns the rest. Blocks.
    pub fn take<B: HasDigest>(&self, blobs: Vec<B>) -> (Claim<'_, B>, Vec<B>) {
        let mut digests = self.digests.lock();
        while blobs.iter().all(|blob| digests.contains(blob.digest())) {
            self.freed.wait(&mut digests);
        }
        let (blobs, rest) = blobs
            .into_iter()
            .partition(|blob| digests.insert(blob.digest().clone()));
        let claims = self;
        (Claim { claims, blobs }, rest)
    }
}

impl<B: HasDigest> Drop for Claim<'_, B> {
    fn drop(&mut self) {
        let mut digests = self.claims.digests.lock();
        for blob in &self.blobs {
            digests.remove(blob.digest());
        }
        self.claims.freed.notify_all();
    }
}
