//! The blob store: immutable bytes in files named by their digest, and the files of uploads on their way there.
//!
//! ```text
//! <root>/blobs/sha256/ab/<64 hex>   whole blobs, mode 0400, never changed once they have this name
//! <root>/uploads/<uuid>             bytes received so far of an open upload, mode 0600
//! ```
//!
//! The only module that knows a path of either. It knows nothing of repositories or of the database: which blobs ought
//! to exist is the metadata's to say. Two rules tie it to the metadata's transactions:
//!
//! - [`BlobStore::publish`] gives an upload its blob's name by a second *link*, inside the write transaction that
//!   records the blob; the upload's own name goes after the commit. A crash in between leaves a file with two names,
//!   which [`BlobStore::upload_files`] finds without walking the store.
//! - [`BlobStore::sync_published`] runs before every commit and makes the new names durable.
//!
//! Everything here blocks. What reads, writes, syncs or removes much is for blocking threads; opening an upload's file
//! and looking at its length are short enough for callers to do in place.

mod hasher;
mod stats;
mod upload;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use hasher::Hasher;
pub use stats::{Operation, Stats};
pub use upload::{UploadFile, UploadId};

use crate::oci::{Algorithm, Digest};

/// The files of one data directory.
pub struct BlobStore {
    root: PathBuf,
    /// Only the writer's thread publishes and syncs.
    names: Mutex<Names>,
    stats: Stats,
}

/// Something that is open for the sake of what ends when it is closed: a lock, or the life of a file without a name.
pub struct KeptOpen {
    _file: File,
}

/// What is known of the durability of names.
#[derive(Default)]
struct Names {
    /// Directories that got a new entry since the last sync that succeeded.
    unsynced: BTreeSet<PathBuf>,
    /// Shards whose own names this process has made durable. Another process, or a change that failed, may have made a
    /// shard and not come to that.
    durable_shards: BTreeSet<PathBuf>,
    /// Directories that lost an entry since the last sync that succeeded.
    removed: BTreeSet<PathBuf>,
}

impl BlobStore {
    /// The store under `root`, which [`Self::prepare`] makes usable.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            names: Mutex::default(),
            stats: Stats::default(),
        }
    }

    /// Makes the store's directories where they are missing, for nobody else to read.
    pub fn prepare(&self) -> io::Result<()> {
        for directory in [self.uploads(), self.blobs()] {
            make_directory(&directory)?;
        }
        for algorithm in Algorithm::ALL {
            let directory = self.blobs().join(algorithm.as_str());
            make_directory(&directory)?;
        }
        sync_directory(&self.blobs())?;
        sync_directory(&self.root)?;
        // the root may be new as well; where its parent may not be opened, it is not
        self.root
            .parent()
            .map_or(Ok(()), |parent| sync_directory(parent).or(Ok(())))
    }

    /// What this process has done to the store.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    fn timed<T>(&self, operation: Operation, work: impl FnOnce() -> T) -> T {
        self.stats.operation(operation).time(work)
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let mut path = self.blobs();
        path.extend([digest.algorithm().as_str(), &hex[..2], hex]);
        path
    }

    fn upload_path(&self, id: &UploadId) -> PathBuf {
        self.uploads().join(id.as_str())
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// `NotFound` where there is no such file, besides what the file system says.
    pub fn open_blob(&self, digest: &Digest) -> io::Result<File> {
        self.timed(Operation::Reader, || File::open(self.blob_path(digest)))
    }

    /// Whether the whole blob is in its place; compares the length only.
    pub fn has_blob(&self, digest: &Digest, size: u64) -> bool {
        let metadata = self.timed(Operation::Stat, || fs::metadata(self.blob_path(digest)));
        metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
    }

    /// Opens an upload's file, making it where there is none, and locks it: `None` while another request, of this
    /// process or another, holds it.
    pub fn open_upload(&self, id: &UploadId) -> io::Result<Option<UploadFile>> {
        self.timed(Operation::Writer, || {
            UploadFile::open(&self.upload_path(id))
        })
    }

    /// How many bytes of an upload have arrived: 0 where it has no file yet.
    pub fn upload_length(&self, id: &UploadId) -> io::Result<u64> {
        match self.timed(Operation::Stat, || fs::metadata(self.upload_path(id))) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Makes the names of new upload files durable, as [`UploadFile::sync`] does their bytes.
    pub fn sync_uploads(&self) -> io::Result<()> {
        sync_directory(&self.uploads())
    }

    /// Removes an upload's own name; its bytes live on where they were published.
    pub fn remove_upload(&self, id: &UploadId) -> io::Result<()> {
        match self.timed(Operation::Delete, || fs::remove_file(self.upload_path(id))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// As [`Self::remove_upload`], unless the file was published: then its own name is what tells, should the commit have
    /// failed, that the blob's name stands for nothing.
    pub fn discard_upload(&self, id: &UploadId) -> io::Result<()> {
        match fs::metadata(self.upload_path(id)) {
            Ok(metadata) if metadata.nlink() > 1 => Ok(()),
            _ => self.remove_upload(id),
        }
    }

    /// Gives a whole, synced upload the name of its blob, beside its own.
    ///
    /// To be called inside the write transaction that inserts the blob's row, and nowhere else. A file already there
    /// has no row, so it is what a failed commit left: it is replaced.
    pub fn publish(&self, id: &UploadId, file: &UploadFile, digest: &Digest) -> io::Result<()> {
        let (from, to) = (self.upload_path(id), self.blob_path(digest));
        // the lock keeps others from the name; that it was kept is worth a look before bytes get a digest's name
        if !file.is_at(&from) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the upload's file was replaced while it was locked",
            ));
        }
        let Some((shard, parent)) = to.parent().and_then(|shard| Some((shard, shard.parent()?)))
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut linked = self.timed(Operation::Move, || fs::hard_link(&from, &to));
        if matches!(&linked, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            make_directory(shard)?;
            linked = fs::hard_link(&from, &to);
        }
        if matches!(&linked, Err(error) if error.kind() == io::ErrorKind::AlreadyExists) {
            fs::remove_file(&to)?;
            linked = fs::hard_link(&from, &to);
        }
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.unsynced.insert(shard.to_owned());
        if !names.durable_shards.contains(shard) {
            names.unsynced.insert(parent.to_owned());
        }
        linked
    }

    /// Makes every name given by [`Self::publish`] durable, with one sync for each directory touched.
    pub fn sync_published(&self) -> io::Result<()> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .unsynced
            .iter()
            .try_for_each(|directory| sync_directory(directory))?;
        let synced = std::mem::take(&mut names.unsynced);
        names.durable_shards.extend(synced);
        Ok(())
    }

    /// Unlinks a blob that was collected, and gives its file, still open: the space is freed once that is dropped, which
    /// takes a while for a large one. None where there is no such file.
    ///
    /// To be called inside a write transaction that has just seen that no row names it, and followed at some time by
    /// [`Self::sync_removed`].
    pub fn unlink_blob(&self, digest: &Digest) -> io::Result<Option<KeptOpen>> {
        let path = self.blob_path(digest);
        if let Some(shard) = path.parent() {
            self.names
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .removed
                .insert(shard.to_owned());
        }
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        self.timed(Operation::Delete, || fs::remove_file(&path))
            .map(|()| Some(KeptOpen { _file: file }))
    }

    /// Makes every removal by [`Self::unlink_blob`] durable, with one sync for each directory touched.
    pub fn sync_removed(&self) -> io::Result<()> {
        let removed = std::mem::take(
            &mut self
                .names
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .removed,
        );
        let synced = removed
            .iter()
            .try_for_each(|shard| match sync_directory(shard) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            });
        if synced.is_err() {
            self.names
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .removed
                .extend(removed);
        }
        synced
    }

    /// Unlinks a blob. To be called inside a write transaction that has just seen that no row names it.
    pub fn remove_blob(&self, digest: &Digest) -> io::Result<()> {
        match self.timed(Operation::Delete, || {
            fs::remove_file(self.blob_path(digest))
        }) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether `digest` is one of the names of an upload's file.
    pub fn is_published_as(&self, file: &UploadFile, digest: &Digest) -> bool {
        file.is_at(&self.blob_path(digest))
    }

    /// The uploads that have a file, finished ones included that a crash kept from losing their own name.
    pub fn upload_files(&self) -> io::Result<impl Iterator<Item = io::Result<UploadId>>> {
        let name = |entry: fs::DirEntry| entry.file_name().to_str().and_then(UploadId::parse);
        Ok(self
            .timed(Operation::List, || fs::read_dir(self.uploads()))?
            .filter_map(move |entry| entry.map(name).transpose()))
    }

    /// Locks the data directory, beside others who share it, or alone; none where that cannot be had now. The lock is the
    /// kernel's, and ends with the file.
    pub fn lock_root(&self, is_alone: bool) -> io::Result<Option<KeptOpen>> {
        let directory = File::open(&self.root)?;
        match if is_alone {
            directory.try_lock()
        } else {
            directory.try_lock_shared()
        } {
            Ok(()) => Ok(Some(KeptOpen { _file: directory })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Bytes that this process may still write to the file system of the store.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let stats = rustix::fs::statvfs(&self.root)?;
        Ok(stats.f_bavail.saturating_mul(stats.f_frsize))
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(store: &BlobStore, id: &UploadId, content: &'static [u8]) -> UploadFile {
        let mut file = store.open_upload(id).unwrap().unwrap();
        file.append(&[bytes::Bytes::from_static(content)]).unwrap();
        file
    }

    #[test]
    fn a_file_that_lost_its_name_is_not_published() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::new(directory.path());
        store.prepare().unwrap();
        let id = UploadId::random();
        let verified = upload(&store, &id, b"right");
        store.remove_upload(&id).unwrap();
        let _impostor = upload(&store, &id, b"wrong");
        let digest = Hasher::digest(Algorithm::Sha256, b"right");
        assert!(store.publish(&id, &verified, &digest).is_err());
        assert!(!store.has_blob(&digest, 5));
    }

    #[test]
    fn what_a_failed_commit_left_under_the_name_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::new(directory.path());
        store.prepare().unwrap();
        let digest = Hasher::digest(Algorithm::Sha256, b"right");
        let place = store.blob_path(&digest);
        fs::create_dir(place.parent().unwrap()).unwrap();
        fs::write(&place, b"left over").unwrap();
        let id = UploadId::random();
        store
            .publish(&id, &upload(&store, &id, b"right"), &digest)
            .unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"right");
    }

    #[test]
    fn one_request_at_a_time_holds_an_upload() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::new(directory.path());
        store.prepare().unwrap();
        let id = UploadId::random();
        let file = upload(&store, &id, b"held");
        assert!(store.open_upload(&id).unwrap().is_none());
        let digest = Hasher::digest(Algorithm::Sha256, b"held");
        store.publish(&id, &file, &digest).unwrap();
        store.discard_upload(&id).unwrap();
        assert!(
            file.is_published().unwrap(),
            "a published file keeps the name that tells of it"
        );
        drop(file);
        assert!(
            store
                .open_upload(&id)
                .unwrap()
                .unwrap()
                .is_published()
                .unwrap()
        );
    }
}
