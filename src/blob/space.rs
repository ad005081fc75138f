//! Free space of the store's file system, and the resource that has run out.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::Ordering;

use super::store::BlobStore;
use super::upload::UploadFile;

/// Bytes written to find out whether anything can be written: a full quota needs some space for the database.
const TRIAL_SIZE: usize = 1 << 20;

/// A resource of the file system that has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shortage {
    Blocks,
    Inodes,
    Quota,
}

impl Shortage {
    pub const ALL: [Self; 3] = [Self::Blocks, Self::Inodes, Self::Quota];

    pub fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Inodes => "inodes",
            Self::Quota => "quota",
        }
    }

    /// Names the resource of a failed write; `None` if it failed for another reason.
    ///
    /// The system reports missing inodes as missing blocks.
    pub fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::StorageFull => Some(Self::Blocks),
            io::ErrorKind::QuotaExceeded => Some(Self::Quota),
            _ => None,
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Blocks => "disk is full",
            Self::Inodes => "file system has no free inodes",
            Self::Quota => "disk quota is used up",
        })
    }
}

/// Free space of a file system.
#[derive(Clone, Copy, Debug)]
pub struct FreeSpace {
    pub bytes: u64,
    /// `None` where inodes are not limited.
    pub inodes: Option<u64>,
}

impl BlobStore {
    /// Returns the free space of the store's file system.
    pub fn free_space(&self) -> io::Result<FreeSpace> {
        let stats = rustix::fs::statvfs(self.root())?;
        Ok(FreeSpace {
            bytes: stats.f_bavail.saturating_mul(stats.f_frsize),
            inodes: (stats.f_files > 0).then_some(stats.f_favail),
        })
    }

    /// Finds the resource for lack of which nothing can be written: the figures of a file system tell nothing of quotas.
    ///
    /// Waits for the disk while [`Self::note_late_shortage`] has noted one.
    pub fn find_shortage(&self) -> io::Result<Option<Shortage>> {
        let free = self.free_space()?;
        if free.inodes == Some(0) {
            return Ok(Some(Shortage::Inodes));
        }
        // file systems without nameless files report another error, and are not judged
        Ok(self.try_write().err().as_ref().and_then(Shortage::of))
    }

    fn try_write(&self) -> io::Result<()> {
        let mut trial = self.uploads()?.nameless_file()?;
        trial.write_all(&vec![0; TRIAL_SIZE])?;
        if self.has_late_shortage.load(Ordering::Relaxed) {
            trial.sync_data()?;
            self.has_late_shortage.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Syncs an upload's file; notes a shortage.
    pub fn sync_upload(&self, file: &UploadFile) -> io::Result<()> {
        let synced = self.stats().file_syncs.time(|| file.sync());
        synced.inspect_err(|error| {
            if Shortage::of(error).is_some() {
                self.note_late_shortage();
            }
        })
    }

    /// Notes that a shortage may be found by a sync only, as where the file system counts blocks when it writes them.
    pub fn note_late_shortage(&self) {
        self.has_late_shortage.store(true, Ordering::Relaxed);
    }
}
