//! Disk space set aside on btrfs, where a used-up quota would end the server.
//!
//! SQLite maps the index of its log. Where a quota leaves nothing for a change of a mapped page, the kernel sends SIGBUS.
//! Then the file of this module is removed, and the page is changed with the space that this frees. Until the file exists
//! again, nothing is pushed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FallocateFlags, OFlags, fallocate};

use crate::sys;

const SIZE: u64 = 4 << 20;

/// Type of btrfs in `statfs`.
const BTRFS: i64 = 0x9123_683E;

/// Space set aside in a data directory.
pub(super) struct EmergencySpace {
    /// `None` where no quota can end the server.
    path: Option<PathBuf>,
    is_held: AtomicBool,
}

impl EmergencySpace {
    /// Sets space aside in `root`, as far as there is any, and has it freed when the kernel needs it.
    ///
    /// Call it before the database is opened.
    pub(super) fn set_aside(root: &Path) -> Self {
        let is_btrfs = rustix::fs::statfs(root).is_ok_and(|found| found.f_type == BTRFS);
        let path = is_btrfs.then(|| root.join("emergency-space"));
        let space = Self {
            path,
            is_held: AtomicBool::new(true),
        };
        if let Some(path) = &space.path {
            let held = hold(path);
            space.is_held.store(held.is_ok(), Ordering::Relaxed);
            if let Err(error) =
                held.and(File::open(root).and_then(|root| sys::remove_on_bus_error(path, root)))
            {
                tracing::debug!(%error, "cannot set disk space aside for a used-up quota");
            }
        }
        space
    }

    /// True unless the space was needed, and cannot be set aside again.
    pub(super) fn is_held(&self) -> bool {
        let Some(path) = &self.path else { return true };
        let was_removed = sys::had_bus_error();
        if self.is_held.load(Ordering::Relaxed) && !was_removed {
            return true;
        }
        let is_held = hold(path).is_ok();
        if is_held {
            sys::forget_bus_errors();
        }
        self.is_held.store(is_held, Ordering::Relaxed);
        is_held
    }
}

fn hold(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(path)?;
    if file.metadata()?.len() >= SIZE {
        return Ok(());
    }
    fallocate(&file, FallocateFlags::empty(), 0, SIZE)?;
    Ok(())
}
