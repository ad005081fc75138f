//! The disk space of the database's log and of its index.
//!
//! SQLite maps the index (`-shm`), and readers change it as well. Where a changed page is written to a new block, as on btrfs
//! and on XFS after a reflink copy, a full disk or an exhausted quota has none: the kernel then ends the process with SIGBUS.
//! So the index gets its blocks at the start, and keeps them; on XFS, shared blocks are copied while there is space. The log is overwritten as well, so the same is done for it. SQLite
//! removes both files with its last connection; on btrfs they are then created again, or the next start would need free space.
//!
//! SQLite writes one byte of every 4096 of the index before it maps that. Where blocks are smaller, the others have none, and a
//! full disk ends the process in the same way: there the index has all its blocks before SQLite opens it, or is not opened.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rustix::fs::{FallocateFlags, IFlags, OFlags, fallocate};

use crate::meta::sqlite::beside::beside;

/// Type of btrfs in `statfs`.
const BTRFS: i64 = 0x9123_683E;

/// Type of XFS in `statfs`.
const XFS: i64 = 0x5846_5342;

/// Idle time after which shared blocks of the index are copied.
const UNSHARE_INTERVAL: Duration = Duration::from_secs(5);

/// Disk space of the index, in bytes: enough for a log of 256 MiB.
const INDEX_SIZE: u64 = 512 << 10;

/// Size of a block of btrfs, and of what SQLite writes a byte of, in bytes.
const BLOCK: u64 = 4096;

/// Disk space reserved for the log, in bytes: one and a half times its usual size.
const LOG_RESERVE: u64 = 6 << 20;

/// The index's file, which must never be closed: that would drop SQLite's locks on it.
pub(in crate::meta) struct Index(ManuallyDrop<File>);

impl Index {
    /// Opens the index before SQLite does.
    ///
    /// Creates it on btrfs, where only an empty file can be exempt from copying, and where blocks are small: it has all of
    /// them then. `None` if it does not exist.
    pub(in crate::meta) fn open(database: &Path) -> io::Result<Option<Self>> {
        let owner = database.metadata()?;
        let is_btrfs = is_btrfs(database)?;
        let has_small_blocks = has_small_blocks(database)?;
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(is_btrfs || has_small_blocks)
            .mode(owner.mode() & 0o777)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(beside(database, "-shm"));
        let file = match opened {
            Ok(file) => ManuallyDrop::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if is_btrfs && file.metadata()?.len() == 0 {
            exempt(&file, &owner)?;
        }
        let index = Self(file);
        if has_small_blocks {
            give(&index.0, &owner)?;
            index.reserve()?;
        }
        Ok(Some(index))
    }

    /// Takes the disk space that the index may need.
    ///
    /// Call it while SQLite has the index open: the first to open it cuts it.
    pub(in crate::meta) fn reserve(&self) -> io::Result<()> {
        // SQLite cuts the file within its first block; btrfs frees an extent only as a whole
        let (first, rest) = (BLOCK, INDEX_SIZE - BLOCK);
        fallocate(&*self.0, FallocateFlags::empty(), 0, first)?;
        fallocate(&*self.0, FallocateFlags::empty(), first, rest)?;

        Ok(())
    }
}

/// The index on XFS, where a reflink copy of a running server's files shares its blocks until they are changed.
///
/// A change copies the blocks around it, so only those of an idle server stay shared.
pub(in crate::meta) struct SharedIndex {
    /// Never closed, as [`Index`]. `None` on other file systems, which share nothing or cannot undo it.
    file: Option<ManuallyDrop<File>>,
}

impl SharedIndex {
    /// Opens the index of a database that SQLite has open.
    pub(in crate::meta) fn of(database: &Path) -> Self {
        let is_xfs = rustix::fs::statfs(database).is_ok_and(|found| found.f_type == XFS);
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(OFlags::NOFOLLOW.bits() as i32)
                .open(beside(database, "-shm"))
        };
        Self {
            file: is_xfs
                .then(open)
                .and_then(Result::ok)
                .map(ManuallyDrop::new),
        }
    }

    /// Returns the idle time after which [`Self::unshare`] is due.
    pub(in crate::meta) fn interval(&self) -> Duration {
        match self.file {
            Some(_) => UNSHARE_INTERVAL,
            None => Duration::MAX,
        }
    }

    /// Gives the index blocks of its own, while the disk has some.
    pub(in crate::meta) fn unshare(&self) {
        let Some(file) = &self.file else { return };
        let length = file.metadata().map_or(0, |found| found.len());
        if length > 0
            && let Err(error) = fallocate(&**file, FallocateFlags::UNSHARE_RANGE, 0, length)
        {
            tracing::debug!(%error, "cannot copy shared blocks of the index of the database's log");
        }
    }
}

/// Keeps the disk space of the index and the log on btrfs, when it is dropped after the last connection.
pub(in crate::meta) struct KeptFiles(PathBuf);

impl KeptFiles {
    pub(in crate::meta) fn of(database: &Path) -> Self {
        Self(database.to_owned())
    }

    fn keep(&self) -> io::Result<()> {
        if !is_btrfs(&self.0)? {
            return Ok(());
        }
        if let Some(index) = Index::open(&self.0)? {
            index.reserve()?;
        }
        let owner = self.0.metadata()?;
        let log = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .mode(owner.mode() & 0o777)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(beside(&self.0, "-wal"))?;
        exempt(&log, &owner)?;
        reserve_log(&log)
    }
}

impl Drop for KeptFiles {
    fn drop(&mut self) {
        if let Err(error) = self.keep() {
            tracing::debug!(%error, "cannot keep the disk space of the database's log");
        }
    }
}

/// True if a block of the file system is smaller than what SQLite writes a byte of.
pub(in crate::meta) fn has_small_blocks(path: &Path) -> io::Result<bool> {
    Ok(rustix::fs::statvfs(path)?.f_bsize < BLOCK)
}

fn is_btrfs(path: &Path) -> io::Result<bool> {
    Ok(rustix::fs::statfs(path)?.f_type as i64 == BTRFS)
}

/// Writes the file system of `path` to disk, as far as possible.
pub(in crate::meta) fn sync_file_system(path: &Path) {
    // the database must not be opened and closed: that would drop SQLite's locks on it
    let directory = path.parent().map(File::open);
    if let Some(Ok(directory)) = directory {
        let _ = rustix::fs::syncfs(directory);
    }
}

/// Reserves disk space for the log, so that content can still be deleted on a full disk.
pub(in crate::meta) fn reserve_log(log: &File) -> io::Result<()> {
    Ok(fallocate(log, FallocateFlags::KEEP_SIZE, 0, LOG_RESERVE)?)
}

/// Exempts the log from copying, which only an empty one can be.
pub(in crate::meta) fn exempt_log(connection: &Connection, database: &Path) -> io::Result<()> {
    // SQLite holds no lock on the log itself, so it may be opened and closed
    let log = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(beside(database, "-wal"))?;
    if rustix::fs::fstatfs(&log)?.f_type as i64 != BTRFS
        || rustix::fs::ioctl_getflags(&log)?.contains(IFlags::NOCOW)
    {
        return Ok(());
    }
    if log.metadata()?.len() > 0 {
        // has no effect while others read or write: the next start tries again
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    exempt(&log, &database.metadata()?)
}

/// Exempts an empty file from copying, and gives it to the owner of the database.
fn exempt(file: &File, owner: &Metadata) -> io::Result<()> {
    let flags = rustix::fs::ioctl_getflags(file)?;
    rustix::fs::ioctl_setflags(file, flags | IFlags::NOCOW)?;
    give(file, owner)
}

/// Gives a file to the owner of the database: root may have created it for a server that runs as another user.
fn give(file: &File, owner: &Metadata) -> io::Result<()> {
    let found = file.metadata()?;
    if (found.uid(), found.gid()) != (owner.uid(), owner.gid()) {
        fchown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}
