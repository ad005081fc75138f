//! Disk space set aside on btrfs, where a used-up quota would end the server.
//!
//! SQLite maps the index of its log. Where a quota leaves nothing for a change of a mapped page, the kernel sends SIGBUS.
//! Then the file of this module is removed, and the page is changed with the space that this frees. Deletions that find no
//! space use it as well. Until the file exists again, nothing is pushed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FallocateFlags, fallocate};

use super::space::Shortage;
use crate::files::regular_file::{self, Links};
use crate::sys;

const SIZE: u64 = 4 << 20;

/// Type of btrfs in `statfs`.
const BTRFS: i64 = 0x9123_683E;

/// Space set aside in a data directory.
pub struct EmergencySpace {
    /// `None` where no quota can end the server.
    path: Option<PathBuf>,
    is_held: AtomicBool,
}

impl EmergencySpace {
    /// Has space that is set aside in `root` freed when the kernel needs it.
    ///
    /// Call it before the database is opened, and [`Self::hold`] after it.
    pub fn of(root: &Path) -> Self {
        let is_btrfs = rustix::fs::statfs(root).is_ok_and(|found| found.f_type == BTRFS);
        let path = is_btrfs.then(|| root.join("emergency-space"));
        if let Some(path) = &path
            && let Err(error) =
                File::open(root).and_then(|root| sys::remove_on_bus_error(path, root))
        {
            tracing::debug!(%error, "cannot prepare for a used-up quota");
        }
        Self {
            path,
            is_held: AtomicBool::default(),
        }
    }

    /// Sets the space aside unless it is; false if there is too little.
    pub fn hold(&self) -> bool {
        let Some(path) = &self.path else { return true };
        // another process may have removed the file
        if self.is_held.load(Ordering::Relaxed) && !sys::had_bus_error() && path.exists() {
            return true;
        }
        let held = set_aside(path);
        if held.is_ok() {
            sys::forget_bus_errors();
        }
        self.is_held.store(held.is_ok(), Ordering::Relaxed);
        // in a directory that cannot be written, nothing is pushed anyway
        !held.is_err_and(|error| Shortage::of(&error).is_some())
    }

    /// Frees the space for changes that will free more; false if none is set aside. Waits for the disk.
    pub fn give_up(&self) -> bool {
        let Some(path) = &self.path else { return false };
        self.is_held.store(false, Ordering::Relaxed);
        if rustix::fs::unlink(path).is_err() {
            return false;
        }
        let synced = path
            .parent()
            .map(|root| File::open(root).and_then(|root| Ok(rustix::fs::syncfs(root)?)));
        if let Some(Err(error)) = synced {
            // btrfs counts what is freed when it commits, which it does unasked too
            tracing::debug!(%error, "cannot sync the file system");
        }
        true
    }
}

fn set_aside(path: &Path) -> io::Result<()> {
    let options = &mut OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = regular_file::open(path, options, Links::Reject)?;
    if file.metadata()?.len() >= SIZE {
        return Ok(());
    }
    fallocate(&file, FallocateFlags::empty(), 0, SIZE)?;
    Ok(())
}
