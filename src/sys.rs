//! Linux system calls without a safe wrapper in another crate. The only file of this crate with `unsafe` code.

#![allow(unsafe_code, reason = "system calls without a safe wrapper")]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// Size of a page, in bytes. Kernels with larger pages report nothing as resident.
const PAGE: usize = 4096;

/// A read-only memory mapping of a whole file.
///
/// It gives the bytes of a file an address: on the zero-copy path nothing reads through it, and its pages are never
/// loaded. Reading through it (on a connection that cannot send from files) is correct too, provided the file is never
/// truncated in place; blobs never are.
pub struct Mapping {
    start: *mut libc::c_void,
    length: usize,
}

// SAFETY: the mapping is read-only for its whole life, so sharing it between threads shares immutable memory.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `length` bytes of `file`, not 0. Of bytes beyond its end none may be read before they are written.
    pub fn new(file: impl AsFd, length: usize) -> io::Result<Self> {
        // SAFETY: a null hint lets the kernel choose a free range, the descriptor is open for the length of the call,
        // and the result is checked before it is used.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                file.as_fd().as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self { start, length })
        }
    }

    /// Reports whether every page of `range` is in memory, so that sending it does not wait for the disk.
    pub fn is_resident(&self, range: Range<usize>) -> bool {
        let first = range.start / PAGE * PAGE;
        let end = range.end.min(self.length);
        if first >= end {
            return true;
        }
        let mut pages = vec![0_u8; (end - first).div_ceil(PAGE)];
        // SAFETY: `first..end` lies inside the mapping and starts on a page (a multiple of 4 KiB; kernels with larger
        // pages refuse with EINVAL, which reads as "not resident"), and `pages` has a byte for each of its pages.
        let answer =
            unsafe { libc::mincore(self.start.byte_add(first), end - first, pages.as_mut_ptr()) };
        answer == 0 && pages.iter().all(|page| page & 1 == 1)
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `new` mapped `length` readable bytes at `start`, and only `drop` unmaps them.
        unsafe { std::slice::from_raw_parts(self.start.cast::<u8>(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and nothing borrows from it any more.
        unsafe { libc::munmap(self.start, self.length) };
    }
}

/// Reports whether the page cache has every page of `range` of `file`, or is reading it.
///
/// A tenth of the cost of [`Mapping::is_resident`]. `None` if the kernel does not tell: before Linux 6.5, or in a sandbox.
pub fn is_cached(file: impl AsFd, range: Range<usize>) -> Option<bool> {
    /// The same for all processors.
    const CACHESTAT: libc::c_long = 451;
    if range.is_empty() {
        return Some(true);
    }
    let bytes = [range.start as u64, range.len() as u64];
    // the pages that are cached, dirty, being written, evicted, and recently evicted
    let mut pages = [0_u64; 5];
    // SAFETY: `cachestat` reads two and writes five integers of 64 bits, and the descriptor is open for the length of the
    // call.
    let outcome = unsafe {
        libc::syscall(
            CACHESTAT,
            file.as_fd().as_raw_fd(),
            bytes.as_ptr(),
            pages.as_mut_ptr(),
            0_u32,
        )
    };
    let expected = (range.end - 1) / PAGE - range.start / PAGE + 1;
    (outcome == 0).then_some(pages[0] >= expected as u64)
}

/// Sets the number of bytes in a socket's buffer from which on it counts as readable. The kernel makes room for them.
pub fn set_receive_low_mark(socket: impl AsFd, bytes: usize) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the option reads one integer, and the descriptor is open for the length of the call.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The beginning of a file that other processes change through their own mappings.
pub struct SharedWords<const WORDS: usize>(Mapping);

impl<const WORDS: usize> SharedWords<WORDS> {
    /// Maps the beginning of `file` and never closes it.
    ///
    /// Closing any descriptor of a file drops every POSIX lock that this process holds on it, including those of a
    /// library that has the same file open.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file is too short, and system errors.
    pub fn new(file: File) -> io::Result<Self> {
        let file = ManuallyDrop::new(file);
        let length = WORDS * size_of::<u32>();
        if file.metadata()?.len() < length as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Mapping::new(&*file, length).map(Self)
    }

    /// Reads `N` words from `first` on, each atomically, and all of them before anything read after this call.
    pub fn load<const N: usize>(&self, first: usize) -> [u32; N] {
        assert!(first + N <= WORDS, "words outside of the mapping");
        let words = std::array::from_fn(|index| {
            // SAFETY: the word lies inside the mapping (asserted above), which starts on a page and so is aligned, stays
            // readable as long as `self`, and is only ever changed by whole words; a relaxed load does not write.
            let word = unsafe { &*self.0.start.cast::<AtomicU32>().add(first + index) };
            word.load(Ordering::Relaxed)
        });
        fence(Ordering::Acquire);
        words
    }
}

/// Takes ownership of a descriptor that this process was started with, and closes it in programs that it starts.
///
/// The caller guarantees that nothing else in this process owns `number`.
///
/// # Errors
/// `EBADF` if it is not open.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers; fails for a descriptor that is not open.
    let outcome = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    if outcome == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the caller guarantees that nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Limits the bytes that a TCP socket takes before it has sent those before (`TCP_NOTSENT_LOWAT`).
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn limit_unsent(socket: impl AsFd, bytes: u32) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the call reads one number, which outlives it.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const bytes).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    };
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks the kernel to start writing `length` dirty bytes from `offset` on to disk, without waiting for them.
///
/// Only a hint: the final sync writes whatever remains.
pub fn start_write_back(file: &File, offset: u64, length: u64) {
    if let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) {
        // SAFETY: takes no pointers; the descriptor is open for the length of the call.
        unsafe {
            libc::sync_file_range(
                file.as_raw_fd(),
                offset,
                length,
                libc::SYNC_FILE_RANGE_WRITE,
            )
        };
    }
}

/// Makes the allocator keep the buffers of uploads instead of returning them to the system after each use.
///
/// Returning them costs a page fault for every 4 KiB of the next buffer, 8 % of the CPU time of a push. Up to 8 MiB stay
/// unused in each arena. The two thresholds are glibc's; other C libraries are left alone.
pub fn keep_buffers() {
    #[cfg(target_env = "gnu")]
    for (threshold, bytes) in [
        (libc::M_MMAP_THRESHOLD, 4 << 20),
        (libc::M_TRIM_THRESHOLD, 8 << 20),
    ] {
        // SAFETY: takes no pointers; a rejected value changes nothing.
        unsafe { libc::mallopt(threshold, bytes) };
    }
}

/// Returns memory that the allocator keeps unused to the system. Takes milliseconds; other C libraries than glibc are left
/// alone.
pub fn release_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointers, and frees nothing that is in use.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// A file to remove when a mapped page cannot be changed, and its file system.
struct Removable {
    path: CString,
    directory: File,
}

static REMOVABLE: OnceLock<Removable> = OnceLock::new();
static BUS_ERRORS: AtomicU32 = AtomicU32::new(0);
/// Faults after which the process ends: they have another cause.
const MOST_BUS_ERRORS: u32 = 200;

/// Has `path` removed when the kernel finds no block for a changed page of a mapping (SIGBUS), and the change repeated.
///
/// Only the first call of a process has an effect.
pub fn remove_on_bus_error(path: &Path, directory: File) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    if REMOVABLE.set(Removable { path, directory }).is_err() {
        return Ok(());
    }
    // SAFETY: all-zero is a valid sigaction, whose mask is set before it is used.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_bus_error as extern "C" fn(libc::c_int) as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: both pointers are valid, and the handler makes async-signal-safe calls only.
    let outcome = unsafe {
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut())
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// True if a mapped page could not be changed since the last [`forget_bus_errors`].
pub fn had_bus_error() -> bool {
    BUS_ERRORS.load(Ordering::Relaxed) > 0
}

pub fn forget_bus_errors() {
    BUS_ERRORS.store(0, Ordering::Relaxed);
}

extern "C" fn on_bus_error(signal: libc::c_int) {
    let errors = BUS_ERRORS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: every call is async-signal-safe, its arguments live as long as the process, and `errno` is restored. The
    // interrupted instruction is repeated, with the default action if nothing helped.
    unsafe {
        let errno = *libc::__errno_location();
        match REMOVABLE.get() {
            Some(removable) if errors < MOST_BUS_ERRORS => {
                libc::unlink(removable.path.as_ptr());
                // btrfs counts what is freed when it commits
                libc::syncfs(removable.directory.as_raw_fd());
            }
            _ => {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
        *libc::__errno_location() = errno;
    }
}

/// The idle class of disk scheduling, for the thread that holds this.
///
/// Its reads wait for those of everybody else, where the disk's scheduler knows classes (BFQ, mq-deadline).
pub struct IdleDisk {
    before: libc::c_long,
}

impl IdleDisk {
    /// Enters the class; without the right to, nothing changes.
    pub fn enter() -> Self {
        const IDLE: libc::c_long = 3 << 13;
        // SAFETY: the call reads a number of this thread, and takes no pointer.
        let before = unsafe { libc::syscall(libc::SYS_ioprio_get, WHO_THREAD, 0) };
        set_disk_class(IDLE);
        Self { before }
    }
}

impl Drop for IdleDisk {
    fn drop(&mut self) {
        if self.before >= 0 {
            set_disk_class(self.before);
        }
    }
}

/// A thread, by its number; 0 is the calling one.
const WHO_THREAD: libc::c_long = 1;

fn set_disk_class(class: libc::c_long) {
    // SAFETY: the call changes a number of this thread, and takes no pointer.
    unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_THREAD, 0, class) };
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn only_pages_in_memory_count_as_cached() {
        const LENGTH: usize = 16 * PAGE;
        let file = tempfile::tempfile().unwrap();
        file.set_len(LENGTH as u64).unwrap();
        file.write_all_at(&[1; 4 * PAGE], 0).unwrap();
        let mapping = Mapping::new(&file, LENGTH).unwrap();
        for (range, expected) in [
            (0..1, true),
            (0..4 * PAGE, true),
            (PAGE + 1..3 * PAGE + 1, true),
            (0..4 * PAGE + 1, false),
            (3 * PAGE..LENGTH, false),
            (5 * PAGE..5 * PAGE, true),
        ] {
            // an old kernel does not tell
            let is_cached = is_cached(&file, range.clone()).unwrap_or(expected);
            assert_eq!(is_cached, expected, "{range:?}");
            assert_eq!(mapping.is_resident(range.clone()), expected, "{range:?}");
        }
    }
}
