//! The files of one data directory.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::file::BlobFile;
use super::naming::{HardLinks, Names};
use super::stats::{Operation, Stats};
use super::traffic::Traffic;
use super::upload::UploadId;
use crate::files::base_directory::{BaseDirectory, Place, is_irregular};
use crate::files::regular_file::{self, Links};
use crate::oci::{Algorithm, Digest};

const BLOBS: &str = "blobs";
const UPLOADS: &str = "uploads";
const DELIVERY_LOCK: &str = "delivery.lock";

/// The files of one data directory.
pub struct BlobStore {
    root: PathBuf,
    /// Treatment of links in the place of its two directories.
    links: Links,
    /// Opened by the first use, as the other is.
    blobs: OnceLock<BaseDirectory>,
    uploads: OnceLock<BaseDirectory>,
    /// Unset until it is certain.
    pub(super) hard_links: OnceLock<HardLinks>,
    /// Presence of notes from a file system without hard links; unset until it matters.
    pub(super) has_notes: OnceLock<bool>,
    /// Only the writer's thread publishes and syncs.
    pub(super) names: Mutex<Names>,
    /// True if a sync has failed for lack of space, and none has succeeded since.
    pub(super) has_late_shortage: AtomicBool,
    stats: Stats,
    pub(super) traffic: Traffic,
}

/// A file held open until this is dropped: for its lock, or to delay the freeing of its disk space.
pub struct KeptOpen {
    pub(super) _file: File,
}

/// A lock on the data directory, on its blobs, or on the removal of their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryLock {
    /// Several may hold it.
    Shared,
    /// Held by one only, and beside no shared one.
    Exclusive,
}

/// Reason why a blob's file is of no use until the blob is pushed again.
#[derive(Debug)]
pub enum FileFault {
    /// It is missing, or has another length.
    Lost,
    /// It cannot be opened; the error has path and remedy.
    Unreadable(io::Error),
}

/// Presence of other servers on the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    Alone,
    Others,
}

impl BlobStore {
    /// A store under `root`; call [`Self::prepare`] before use.
    pub fn new(root: &Path) -> Self {
        Self::with(root, Links::Follow)
    }

    /// A store under `root` that is a copy. Another user than that of this process may write to it.
    pub fn copied_to(root: &Path) -> Self {
        Self::with(root, Links::Reject)
    }

    fn with(root: &Path, links: Links) -> Self {
        Self {
            root: root.to_owned(),
            links,
            blobs: OnceLock::new(),
            uploads: OnceLock::new(),
            hard_links: OnceLock::new(),
            has_notes: OnceLock::new(),
            names: Mutex::default(),
            has_late_shortage: AtomicBool::default(),
            stats: Stats::default(),
            traffic: Traffic::default(),
        }
    }

    /// Creates missing directories of the store, readable by the owner only.
    ///
    /// # Errors
    /// File system errors, and a link below `blobs/`.
    pub fn prepare(&self) -> io::Result<()> {
        for directory in [UPLOADS, BLOBS] {
            make_directory(&self.root.join(directory))?;
        }
        self.uploads()?;
        for algorithm in Algorithm::ALL {
            let directory = self.blobs()?.place(algorithm.as_str());
            directory.make_directory()?;
            // fails unless it is a directory
            directory.sync()?;
        }
        self.blobs()?.place("").sync()?;
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

    /// The data directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn blobs(&self) -> io::Result<&BaseDirectory> {
        self.open_once(&self.blobs, BLOBS)
    }

    pub(super) fn uploads(&self) -> io::Result<&BaseDirectory> {
        self.open_once(&self.uploads, UPLOADS)
    }

    /// Opens a directory of the store unless it is open.
    fn open_once<'b>(
        &self,
        base: &'b OnceLock<BaseDirectory>,
        name: &str,
    ) -> io::Result<&'b BaseDirectory> {
        if let Some(base) = base.get() {
            return Ok(base);
        }
        let opened = BaseDirectory::open(&self.root.join(name), self.links)?;
        Ok(base.get_or_init(|| opened))
    }

    pub(super) fn blob(&self, digest: &Digest) -> io::Result<Place<'_>> {
        let hex = digest.hex();
        let path = PathBuf::from_iter([digest.algorithm().as_str(), &hex[..2], hex]);
        Ok(self.blobs()?.place(path))
    }

    pub(super) fn blobs_path(&self) -> PathBuf {
        self.root.join(BLOBS)
    }

    pub(super) fn uploads_path(&self) -> PathBuf {
        self.root.join(UPLOADS)
    }

    pub(super) fn upload(&self, id: &UploadId) -> io::Result<Place<'_>> {
        Ok(self.uploads()?.place(id.as_str()))
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// `NotFound` if its file is absent, and file system errors.
    pub fn open_blob(&self, digest: &Digest) -> io::Result<BlobFile> {
        let file = self.open_file(digest)?;
        Ok(BlobFile::new(file, self.traffic.enter()))
    }

    /// Reads a blob into memory, at most its first `limit` bytes.
    ///
    /// # Errors
    /// Like [`Self::open_blob`].
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open_file(digest)?;
        let length = file.metadata()?.len().min(limit);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn open_file(&self, digest: &Digest) -> io::Result<File> {
        let place = self.blob(digest)?;
        self.timed(Operation::Reader, || place.open(OFlags::RDONLY))
            .map_err(|error| unopened(&place.path(), error))
    }

    /// True if the blob's file can be opened and has `size` bytes. Its content is not verified.
    pub fn has_blob(&self, digest: &Digest, size: u64) -> bool {
        self.fault_of(digest, size)
            .is_ok_and(|fault| fault.is_none())
    }

    /// Returns why the blob's file is certainly of no use.
    ///
    /// # Errors
    /// None is certain, as without the right to look into its directory. Then its opening fails, and says why.
    pub fn fault_of(&self, digest: &Digest, size: u64) -> io::Result<Option<FileFault>> {
        let place = self.blob(digest)?;
        let opened = self.timed(Operation::Stat, || place.open(OFlags::RDONLY)?.metadata());
        match opened {
            Ok(found) if found.len() == size => Ok(None),
            Ok(_) => Ok(Some(FileFault::Lost)),
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_irregular(&error) => {
                Ok(Some(FileFault::Lost))
            }
            // of the file, not of a directory on the way
            Err(error) if is_unreadable(&error) && place.metadata().is_ok() => {
                Ok(Some(FileFault::Unreadable(unopened(&place.path(), error))))
            }
            Err(error) => Err(error),
        }
    }

    /// True if the blob's file is certainly of no use, as [`Self::fault_of`] says.
    pub fn is_lost(&self, digest: &Digest, size: u64) -> bool {
        self.fault_of(digest, size)
            .is_ok_and(|fault| fault.is_some())
    }

    pub(super) fn is_whole(&self, digest: &Digest, size: u64) -> io::Result<bool> {
        let place = self.blob(digest)?;
        let metadata = self.timed(Operation::Stat, || place.metadata())?;
        Ok(metadata.is_file() && metadata.len() == size)
    }

    /// Locks the data directory; `None` if another process holds a conflicting lock.
    ///
    /// The lock is the kernel's and ends when the result is dropped.
    pub fn lock_directory(&self, lock: DirectoryLock) -> io::Result<Option<KeptOpen>> {
        try_lock(File::open(&self.root)?, lock)
    }

    /// Locks the blobs: shared while they are exported, exclusively while deleted ones are removed before their time.
    ///
    /// `None` as for [`Self::lock_directory`].
    pub fn lock_blobs(&self, lock: DirectoryLock) -> io::Result<Option<KeptOpen>> {
        try_lock(self.blobs()?.reopen()?, lock)
    }

    /// Locks the removal of blobs' files: shared while some are removed, exclusively while a backup needs them.
    ///
    /// `None` as for [`Self::lock_directory`].
    pub fn lock_removal(&self, lock: DirectoryLock) -> io::Result<Option<KeptOpen>> {
        // a directory that is always there, and that nothing else locks
        let directory = self.blobs()?.place(Algorithm::Sha256.as_str());
        try_lock(directory.open_directory()?, lock)
    }

    /// Calls the servers of this data directory until the result is dropped; takes no disk space.
    pub fn call_servers(&self) -> io::Result<KeptOpen> {
        let mark = self.caller_mark()?;
        // a server that looks has its momentary lock
        mark.lock()?;
        Ok(KeptOpen { _file: mark })
    }

    /// Reports whether another process calls, by [`Self::call_servers`].
    pub fn is_called(&self) -> io::Result<bool> {
        match self.caller_mark()?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Locks the delivery of events; `None` as for [`Self::lock_directory`].
    pub fn lock_delivery(&self) -> io::Result<Option<KeptOpen>> {
        let mut options = File::options();
        options.create(true).truncate(false).write(true).mode(0o600);
        let path = self.root.join(DELIVERY_LOCK);
        let file = regular_file::open(&path, &options, Links::Reject)?;
        try_lock(file, DirectoryLock::Exclusive)
    }

    /// Opens a directory that is always there, and that nothing else locks.
    fn caller_mark(&self) -> io::Result<File> {
        self.blobs()?
            .place(Algorithm::Sha512.as_str())
            .open_directory()
    }

    /// Marks the data directory as used by a server, until the result is dropped, and finds other servers.
    pub fn announce_server(&self) -> io::Result<(KeptOpen, Company)> {
        let mark = self.uploads()?.reopen()?;
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

fn try_lock(directory: File, lock: DirectoryLock) -> io::Result<Option<KeptOpen>> {
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

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// True of errors that every attempt to open a file will meet: missing rights, and damage of the disk or file system.
pub(super) fn is_unreadable(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        code,
        Some(Errno::ACCESS | Errno::PERM | Errno::IO | Errno::UCLEAN | Errno::BADMSG)
    )
}

/// Adds the file and the remedy to an error, unless the file is simply absent.
fn unopened(path: &Path, error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => return error,
        io::ErrorKind::PermissionDenied => {
            ": the user that runs the server must be able to read it: give that user (chown) the file and the directories above it"
        }
        _ => ": restore the file from a backup, or remove it and push the blob again",
    };
    io::Error::new(error.kind(), format!("{}: {error}{remedy}", path.display()))
}
