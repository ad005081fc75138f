//! The files of one data directory, and the durability of their names.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;

use super::content::{BlobContent, BlobFile};
use super::stats::{Operation, Stats};
use super::traffic::Traffic;
use super::upload::{UploadFile, UploadId};
use crate::files::regular_file::{self, Links};
use crate::oci::{Algorithm, Digest};

/// The files of one data directory.
pub struct BlobStore {
    root: PathBuf,
    /// Only the writer's thread publishes and syncs.
    names: Mutex<Names>,
    stats: Stats,
    traffic: Traffic,
}

/// A file held open until this is dropped: for its lock, or to delay the freeing of its disk space.
pub struct KeptOpen {
    _file: File,
}

/// A lock on the data directory, on its blobs, or on the removal of their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryLock {
    /// Several may hold it.
    Shared,
    /// Held by one only, and beside no shared one.
    Exclusive,
}

/// Presence of other servers on the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    Alone,
    Others,
}

/// Directories whose entries are not known to be durable.
#[derive(Default)]
struct Names {
    /// Directories that got a new entry since the last sync that succeeded.
    unsynced: BTreeSet<PathBuf>,
    /// Shards whose own names this process has made durable. A shard that exists need not be: another process, or a
    /// change that failed, may have created it without syncing its parent.
    durable_shards: BTreeSet<PathBuf>,
    /// Directories that lost an entry since the last sync that succeeded.
    removed: BTreeSet<PathBuf>,
}

impl BlobStore {
    /// A store under `root`; call [`Self::prepare`] before use.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            names: Mutex::default(),
            stats: Stats::default(),
            traffic: Traffic::default(),
        }
    }

    /// Creates missing directories of the store, readable by the owner only.
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

    /// Counters of this process's operations.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Reports whether requests are reading or writing files of blobs and uploads.
    pub fn is_in_use(&self) -> bool {
        self.traffic.is_there()
    }

    pub(super) fn timed<T>(&self, operation: Operation, work: impl FnOnce() -> T) -> T {
        self.stats.operation(operation).time(work)
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// The data directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
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
    /// `NotFound` if its file is absent, and file system errors.
    pub fn open_blob(&self, digest: &Digest) -> io::Result<BlobContent> {
        let file = self.open_file(digest)?;
        Ok(BlobContent::File(BlobFile::new(file, self.traffic.enter())))
    }

    /// Reads a blob into memory, at most its first `limit` bytes.
    ///
    /// # Errors
    /// Like [`Self::open_blob`].
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.open_file(digest)?;
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn open_file(&self, digest: &Digest) -> io::Result<File> {
        let path = self.blob_path(digest);
        self.timed(Operation::Reader, || open_for_reading(&path))
            .map_err(|error| unopened(&path, error))
    }

    /// True if the blob's file exists and has `size` bytes. Its content is not verified.
    pub fn has_blob(&self, digest: &Digest, size: u64) -> bool {
        self.is_whole(digest, size).unwrap_or(false)
    }

    /// True if the blob's file is certainly missing, or has another length than `size`.
    ///
    /// False where that cannot be seen, as without the right to: then its opening fails, and says why.
    pub fn is_lost(&self, digest: &Digest, size: u64) -> bool {
        match self.is_whole(digest, size) {
            Ok(is_whole) => !is_whole,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    pub(super) fn is_whole(&self, digest: &Digest, size: u64) -> io::Result<bool> {
        let path = self.blob_path(digest);
        let metadata = self.timed(Operation::Stat, || fs::symlink_metadata(&path))?;
        Ok(metadata.is_file() && metadata.len() == size)
    }

    /// Opens and locks an upload's file, creating it if absent.
    ///
    /// Returns `None` while another request, of this process or another, holds the lock.
    pub fn open_upload(&self, id: &UploadId) -> io::Result<Option<UploadFile>> {
        self.timed(Operation::Writer, || {
            UploadFile::open(&self.upload_path(id), &self.traffic)
        })
    }

    /// Returns the number of bytes received of an upload: 0 if it has no file yet.
    pub fn upload_length(&self, id: &UploadId) -> io::Result<u64> {
        let progress = self.upload_progress(id)?;
        Ok(progress.map_or(0, |(length, _)| length))
    }

    /// Returns the number of bytes received of an upload, and the time of the last ones; `None` if it has no file yet.
    pub fn upload_progress(&self, id: &UploadId) -> io::Result<Option<(u64, SystemTime)>> {
        match self.timed(Operation::Stat, || {
            fs::symlink_metadata(self.upload_path(id))
        }) {
            Ok(metadata) => Ok(Some((metadata.len(), metadata.modified()?))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the names of new upload files durable, as [`UploadFile::sync`] does with their bytes.
    pub fn sync_uploads(&self) -> io::Result<()> {
        sync_directory(&self.uploads())
    }

    /// Removes an upload's own name; published bytes remain under the blob's name.
    pub fn remove_upload(&self, id: &UploadId) -> io::Result<()> {
        match self.timed(Operation::Delete, || fs::remove_file(self.upload_path(id))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Like [`Self::remove_upload`], but keeps a published file.
    ///
    /// Its own name marks the blob's name as an orphan should the commit have failed.
    pub fn discard_upload(&self, id: &UploadId) -> io::Result<()> {
        match fs::symlink_metadata(self.upload_path(id)) {
            Ok(metadata) if metadata.nlink() > 1 => Ok(()),
            _ => self.remove_upload(id),
        }
    }

    /// Gives a complete, synced upload the name of its blob in addition to its own.
    ///
    /// Call it only inside the write transaction that inserts the blob's row. A file that already has that name has no
    /// row, so a failed commit left it: it is replaced.
    pub fn publish(&self, id: &UploadId, file: &UploadFile, digest: &Digest) -> io::Result<()> {
        let (from, to) = (self.upload_path(id), self.blob_path(digest));
        // the lock should have kept others from the name: check it before bytes get a digest's name
        if !file.is_at(&from) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the upload's file was replaced while it was locked",
            ));
        }
        let mut linked = self.link(&from, &to);
        if matches!(&linked, Err(error) if error.kind() == io::ErrorKind::AlreadyExists) {
            fs::remove_file(&to)?;
            linked = fs::hard_link(&from, &to);
        }
        self.expect_sync(&to);
        linked
    }

    /// Has [`Self::sync_published`] make a new name durable.
    pub(super) fn expect_sync(&self, path: &Path) {
        let Some((shard, parent)) = path
            .parent()
            .and_then(|shard| Some((shard, shard.parent()?)))
        else {
            return;
        };
        let mut names = self.names.lock();
        names.unsynced.insert(shard.to_owned());
        if !names.durable_shards.contains(shard) {
            names.unsynced.insert(parent.to_owned());
        }
    }

    /// Gives a file a second name, in a directory that may have to be made.
    pub(super) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let linked = self.timed(Operation::Move, || fs::hard_link(from, to));
        match (linked, to.parent()) {
            (Err(error), Some(shard)) if error.kind() == io::ErrorKind::NotFound => {
                make_directory(shard)?;
                fs::hard_link(from, to)
            }
            (linked, _) => linked,
        }
    }

    /// True unless the file system is certain to have no hard links, which [`Self::publish`] needs.
    pub fn has_hard_links(&self) -> bool {
        // a start clears what a crash leaves under such names
        let (own, other) = (UploadId::random(), UploadId::random());
        // a full disk tells nothing of links
        let Ok(Some(_file)) = self.open_upload(&own) else {
            return true;
        };
        let linked = fs::hard_link(self.upload_path(&own), self.upload_path(&other));
        let _ = self.remove_upload(&own);
        let _ = self.remove_upload(&other);
        !linked.is_err_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
            )
        })
    }

    /// Makes every name given by [`Self::publish`] durable, with one sync per directory.
    pub fn sync_published(&self) -> io::Result<()> {
        let mut names = self.names.lock();
        names
            .unsynced
            .iter()
            .try_for_each(|directory| sync_directory(directory))?;
        let synced = std::mem::take(&mut names.unsynced);
        names.durable_shards.extend(synced);
        Ok(())
    }

    /// Removes the file of a collected blob and returns it, still open; `None` if it is absent.
    ///
    /// Its space is freed when the result is dropped, which takes a while for a large file. Call this inside a write
    /// transaction that has just seen that no row has the digest, and [`Self::sync_removed`] later.
    pub fn unlink_blob(&self, digest: &Digest) -> io::Result<Option<KeptOpen>> {
        let path = self.blob_path(digest);
        if let Some(shard) = path.parent() {
            self.names.lock().removed.insert(shard.to_owned());
        }
        let file = match open_for_reading(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // something in the blob's place, whose own content is nobody's here
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            other => Some(other?),
        };
        self.timed(Operation::Delete, || fs::remove_file(&path))
            .map(|()| file.map(|file| KeptOpen { _file: file }))
    }

    /// Makes every removal by [`Self::unlink_blob`] durable, with one sync per directory.
    pub fn sync_removed(&self) -> io::Result<()> {
        let removed = std::mem::take(&mut self.names.lock().removed);
        let synced = removed
            .iter()
            .try_for_each(|shard| match sync_directory(shard) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            });
        if synced.is_err() {
            self.names.lock().removed.extend(removed);
        }
        synced
    }

    /// Removes an orphaned blob's file.
    ///
    /// Call this inside a write transaction that has just seen that no row has the digest.
    pub fn remove_blob(&self, digest: &Digest) -> io::Result<()> {
        match self.timed(Operation::Delete, || {
            fs::remove_file(self.blob_path(digest))
        }) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// True if an upload's file also has the name of the blob `digest`.
    pub fn is_published_as(&self, file: &UploadFile, digest: &Digest) -> bool {
        file.is_at(&self.blob_path(digest))
    }

    /// Lists the uploads that have a file, including finished ones whose own name a crash left behind.
    pub fn upload_files(&self) -> io::Result<impl Iterator<Item = io::Result<UploadId>>> {
        let name = |entry: fs::DirEntry| entry.file_name().to_str().and_then(UploadId::parse);
        Ok(self
            .timed(Operation::List, || fs::read_dir(self.uploads()))?
            .filter_map(move |entry| entry.map(name).transpose()))
    }

    /// Locks the data directory; `None` if another process holds a conflicting lock.
    ///
    /// The lock is the kernel's and ends when the result is dropped.
    pub fn lock_directory(&self, lock: DirectoryLock) -> io::Result<Option<KeptOpen>> {
        lock_at(&self.root, lock)
    }

    /// Locks the blobs: shared while they are exported, exclusively while deleted ones are removed before their time.
    ///
    /// `None` as for [`Self::lock_directory`].
    pub fn lock_blobs(&self, lock: DirectoryLock) -> io::Result<Option<KeptOpen>> {
        lock_at(&self.blobs(), lock)
    }

    /// Locks the removal of blobs' files: shared while some are removed, exclusively while a backup needs them.
    ///
    /// `None` as for [`Self::lock_directory`].
    pub fn lock_removal(&self, lock: DirectoryLock) -> io::Result<Option<KeptOpen>> {
        // a directory that is always there, and that nothing else locks
        lock_at(&self.blobs().join(Algorithm::Sha256.as_str()), lock)
    }

    /// Marks the data directory as used by a server, until the result is dropped, and finds other servers.
    pub fn announce_server(&self) -> io::Result<(KeptOpen, Company)> {
        let mark = File::open(self.uploads())?;
        // servers hold it shared; a momentary exclusive lock is refused beside any of them
        let company = match mark.try_lock() {
            Ok(()) => Company::Alone,
            Err(fs::TryLockError::WouldBlock) => Company::Others,
            Err(fs::TryLockError::Error(error)) => return Err(error),
        };
        match mark.try_lock_shared() {
            // a server that starts at the same time has its momentary lock
            Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        Ok((KeptOpen { _file: mark }, company))
    }
}

fn lock_at(path: &Path, lock: DirectoryLock) -> io::Result<Option<KeptOpen>> {
    let directory = File::open(path)?;
    let locked = match lock {
        DirectoryLock::Shared => directory.try_lock_shared(),
        DirectoryLock::Exclusive => directory.try_lock(),
    };
    match locked {
        Ok(()) => Ok(Some(KeptOpen { _file: directory })),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn open_for_reading(path: &Path) -> io::Result<File> {
    regular_file::open(path, File::options().read(true), Links::Reject)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Adds the file and the remedy to an error, unless the file is simply absent.
fn unopened(path: &Path, error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => return error,
        io::ErrorKind::PermissionDenied => {
            ": it belongs to another user; give it (chown) to the user that runs the server"
        }
        _ => ": restore the file from a backup, or remove it and push the blob again",
    };
    io::Error::new(error.kind(), format!("{}: {error}{remedy}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Hasher;

    fn upload(store: &BlobStore, id: &UploadId, content: &'static [u8]) -> UploadFile {
        let mut file = store.open_upload(id).unwrap().unwrap();
        file.append(&[bytes::Bytes::from_static(content)]).unwrap();
        file
    }

    #[test]
    fn a_replaced_upload_file_is_not_published() {
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
    fn publishing_replaces_an_orphaned_blob_file() {
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
    fn an_upload_is_locked_by_one_request_at_a_time() {
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
            "a published file keeps its own name"
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
