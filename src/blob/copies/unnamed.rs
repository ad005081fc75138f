//! Copies on their way to their names, which they get once they are durable.

use std::cell::Cell;
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{Advice, OFlags};

use crate::blob::names::clear;
use crate::blob::store::BlobStore;
use crate::files::base_directory::Place;
use crate::oci::Digest;

/// Number of copies, and their size in bytes, that are made durable at once.
const BATCH: usize = 64;
const BATCH_BYTES: u64 = 256 << 20;
/// Suffix of the name of a copy that is not complete.
const PARTIAL: &str = "partial";

/// Complete copies that are not durable.
#[derive(Default)]
pub(super) struct Unnamed {
    copies: Vec<(File, Digest)>,
    /// Size in bytes.
    size: u64,
}

impl Unnamed {
    pub fn add(&mut self, file: File, digest: &Digest, size: u64) {
        self.copies.push((file, digest.clone()));
        self.size += size;
    }

    /// True if there are as many as should be made durable at once.
    pub fn are_many(&self) -> bool {
        self.copies.len() >= BATCH || self.size >= BATCH_BYTES
    }

    /// Makes them durable, and then gives them their names. Blocks.
    pub fn settle(&mut self, store: &BlobStore) -> io::Result<()> {
        // the first sync does most of the work of the others
        for (file, _) in &self.copies {
            file.sync_all()?;
            let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
        }
        for (_, digest) in self.copies.drain(..) {
            partial(store, &digest)?.rename(&store.blob(&digest)?)?;
        }
        self.size = 0;
        Ok(())
    }

    /// Removes them.
    pub fn abandon(&mut self, store: &BlobStore) {
        for (_, digest) in self.copies.drain(..) {
            remove(store, &digest);
        }
        self.size = 0;
    }
}

/// Creates an empty file for the blob's copy, in place of another one.
pub(super) fn create(store: &BlobStore, digest: &Digest) -> io::Result<File> {
    clear(&store.blob(digest)?)?;
    let (flags, created) = (
        OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
        Cell::new(None),
    );
    let place = partial(store, digest)?;
    store.replace(&place, || {
        created.set(Some(place.open(flags)?));
        Ok(())
    })?;
    let file = created.take().ok_or(ErrorKind::NotFound)?;
    file.set_permissions(Permissions::from_mode(0o400))?;
    Ok(file)
}

/// Removes a copy that has no name yet.
pub(super) fn remove(store: &BlobStore, digest: &Digest) {
    // if that fails, the next backup removes it
    let _ = partial(store, digest).and_then(|place| place.remove());
}

/// Place of a blob's copy until it is complete.
fn partial<'s>(store: &'s BlobStore, digest: &Digest) -> io::Result<Place<'s>> {
    Ok(store.blob(digest)?.beside(PARTIAL))
}
