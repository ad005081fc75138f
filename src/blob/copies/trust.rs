//! Files of earlier copies: which of them are what their digests say.

use std::io;
use std::time::Instant;

use super::copier::BlobCopier;
use super::vouched::Vouched;
use crate::blob::store::BlobStore;
use crate::blob::verification::Priority;
use crate::oci::Digest;

impl BlobCopier {
    /// Keeps a file of an earlier copy whose blob is damaged; reports whether that one is sound. Blocks.
    pub fn keep(&self, digest: &Digest) -> io::Result<bool> {
        if self.to.open_file(digest).is_ok() {
            return Ok(self.is_sound(&self.to, digest));
        }
        match &self.earlier {
            Some(earlier) if self.is_sound(earlier, digest) => self.link(earlier, digest),
            _ => Ok(false),
        }
    }

    /// True if the copy has a file of which it is certain without reading it that it is the blob's.
    pub(super) fn is_certain(&self, digest: &Digest, size: u64, vouched: Vouched) -> bool {
        let earlier = self.earlier.as_ref().filter(|_| vouched.in_earlier);
        self.to.has_blob(digest, size)
            && (vouched.in_copy
                || self.to.shares_file(&self.from, digest)
                || earlier.is_some_and(|earlier| self.to.shares_file(earlier, digest)))
    }

    /// Compares a file with its digest; false if it cannot be read.
    pub(super) fn is_sound(&self, store: &BlobStore, digest: &Digest) -> bool {
        let hashed = || {
            let mut hash = store.begin_hash(digest, Priority::Normal)?;
            while !hash.is_at_end() {
                let begun = Instant::now();
                let read = hash.step()?;
                self.progress.add(read as u64);
                self.rest(begun);
            }
            io::Result::Ok(hash.finish().0)
        };
        hashed().is_ok_and(|found| found == *digest)
    }
}

impl BlobStore {
    /// True if a blob has the same file in both stores.
    fn shares_file(&self, other: &Self, digest: &Digest) -> bool {
        let file = |store: &Self| store.blob(digest)?.identity();
        matches!((file(self), file(other)), (Ok(one), Ok(other)) if one == other)
    }
}
