//! Blobs that another registry keeps in files of its own on the same file system.
//!
//! They get a blob's name here by a second link. The file itself belongs to the other registry too: its bytes, mode, owner
//! and times are never changed, and its own name stays.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::hasher::Hasher;
use super::store::BlobStore;
use crate::files::regular_file::{self, Links};
use crate::oci::{Algorithm, Digest};

/// A file of another registry with the content of a blob.
#[derive(Clone, Debug)]
pub struct SourceFile {
    path: PathBuf,
    /// In bytes.
    pub size: u64,
}

impl SourceFile {
    /// Finds the file at `path`; `None` if there is none, or something that is no regular file.
    pub fn at(path: PathBuf) -> io::Result<Option<Self>> {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(Self {
                path,
                size: metadata.len(),
            })),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the file for reading.
    pub fn open(&self) -> io::Result<File> {
        regular_file::open(&self.path, File::options().read(true), Links::Reject)
    }

    /// Hashes the content. Blocks.
    pub fn hash(&self, algorithm: Algorithm) -> io::Result<Digest> {
        Ok(Hasher::of_file(&self.open()?, algorithm)?.finish())
    }
}

impl BlobStore {
    /// Gives a file of another registry the name of a blob, unless some file has that name already.
    ///
    /// Outside of a transaction, so that many threads can do it at once: [`Self::ensure_linked`] decides.
    pub fn link_source(&self, source: &SourceFile, digest: &Digest) -> io::Result<()> {
        let place = self.blob(digest)?;
        match self.name(&place, || place.link_foreign(&source.path)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes sure that the name of a blob leads to this file of another registry.
    ///
    /// Call it only inside the write transaction that inserts the blob's row: another file of that name then has none.
    pub fn ensure_linked(&self, source: &SourceFile, digest: &Digest) -> io::Result<()> {
        let place = self.blob(digest)?;
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let wanted = fs::symlink_metadata(&source.path).map(identity)?;
        if place
            .metadata()
            .map(identity)
            .is_ok_and(|present| present == wanted)
        {
            return Ok(());
        }
        self.replace(&place, || place.link_foreign(&source.path))
    }

    /// Like [`Self::ensure_linked`]; [`Self::sync_published`] makes the name durable before the change commits.
    pub fn publish_source(&self, source: &SourceFile, digest: &Digest) -> io::Result<()> {
        self.ensure_linked(source, digest)?;
        self.expect_sync(&self.blob(digest)?);
        Ok(())
    }

    /// Makes everything on the file systems of the data directory and of its blobs durable, whoever wrote it. Blocks.
    pub fn sync_file_system(&self) -> io::Result<()> {
        let (root, blobs) = (File::open(self.root())?, self.blobs()?.reopen()?);
        rustix::fs::syncfs(&blobs)?;
        // a link may lead to the blobs on another disk
        if root.metadata()?.dev() != blobs.metadata()?.dev() {
            rustix::fs::syncfs(&root)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_file_replaces_one_without_a_row_and_nothing_of_it_changes() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::new(directory.path());
        store.prepare().unwrap();
        let digest = Hasher::digest(Algorithm::Sha256, b"theirs");
        let path = directory.path().join("theirs");
        fs::write(&path, "theirs").unwrap();
        let before = fs::metadata(&path).unwrap();
        let source = SourceFile::at(path.clone()).unwrap().unwrap();

        let name = store.blob(&digest).unwrap().path();
        fs::create_dir_all(name.parent().unwrap()).unwrap();
        fs::write(&name, "left over").unwrap();
        store.link_source(&source, &digest).unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"left over");
        for _ in 0..2 {
            store.ensure_linked(&source, &digest).unwrap();
            assert_eq!(fs::read(&name).unwrap(), b"theirs");
        }
        let after = fs::metadata(&path).unwrap();
        assert_eq!(
            (after.ino(), after.mode(), after.uid(), after.mtime_nsec()),
            (
                before.ino(),
                before.mode(),
                before.uid(),
                before.mtime_nsec()
            )
        );
        assert_eq!(after.nlink(), 2);

        std::os::unix::fs::symlink(&path, directory.path().join("link")).unwrap();
        for other in ["link", "absent", "."] {
            assert!(
                SourceFile::at(directory.path().join(other))
                    .unwrap()
                    .is_none(),
                "{other}"
            );
        }
    }
}
