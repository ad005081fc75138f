//! System calls that no safe crate in use wraps.

#![allow(unsafe_code, reason = "system calls without a safe wrapper")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// `_IOR('X', 125, __u32)` of `fs/ext4/ext4.h` and of XFS, and the flag that skips the journal.
const EXT4_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587d;
const EXT4_GOING_FLAGS_NOLOGFLUSH: u32 = 2;

/// Stops all writing to the ext4 or XFS file system mounted at `mount`, as a power loss does: data in
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

/// Has this thread, and programs that it starts, fail to make hard links, as on file systems that have none.
pub fn give_up_links() {
    const NUMBER: u32 = std::mem::offset_of!(libc::seccomp_data, nr) as u32;
    let instruction = |code: u32, skipped, value| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: skipped,
        k: value,
    };
    let mut filter = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, NUMBER),
        instruction(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            1,
            libc::SYS_linkat as u32,
        ),
        instruction(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
        ),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program and its filter outlive the calls, which copy them.
    let answers = unsafe {
        [
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ),
        ]
    };
    assert_eq!(answers, [0, 0], "{}", io::Error::last_os_error());
}
