//! System calls that no safe crate in use wraps.

#![allow(unsafe_code, reason = "system calls without a safe wrapper")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// `_IOR('X', 125, __u32)` of `fs/ext4/ext4.h`, and the flag that skips the journal.
const EXT4_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587d;
const EXT4_GOING_FLAGS_NOLOGFLUSH: u32 = 2;

/// Stops all writing to the ext4 file system mounted at `mount`, as a power loss does: data in
/// memory, including the journal's last transaction, is never written.
pub fn cut_power(mount: &File) -> io::Result<()> {
    let flags = EXT4_GOING_FLAGS_NOLOGFLUSH;
    // SAFETY: the request reads one u32, which outlives the call, and the descriptor is open.
    let answer = unsafe { libc::ioctl(mount.as_raw_fd(), EXT4_IOC_SHUTDOWN, &raw const flags) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes programs started by this thread obey file permissions, even as root. No effect without
/// root.
pub fn give_up_overriding_permissions() {
    const CAP_DAC_OVERRIDE: libc::c_ulong = 1;
    // SAFETY: takes numbers only. A failure means that there are no privileges to drop.
    unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) };
}
