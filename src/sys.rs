//! System calls of Linux that no safe crate wraps. The only file of this crate with `unsafe` in it.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// A read-only view of a whole file in this process's address space.
///
/// It exists to give bytes of a file an address: on the zero-copy path nothing ever reads through it, and the pages are
/// never loaded. Where something does read through it (a connection that cannot send from files), that is correct too,
/// provided the file is never truncated in place; blobs never are.
pub struct Mapping {
    start: *mut libc::c_void,
    length: usize,
}

// SAFETY: the mapping is read-only for its whole life, so sharing it between threads shares immutable memory.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `length` bytes of `file`; `length` must not be 0, nor more than the file has.
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

    /// Whether every page of `range` is in memory, so that sending it does not wait for the disk.
    pub fn is_resident(&self, range: Range<usize>) -> bool {
        const PAGE: usize = 4096;
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

/// The beginning of a file that others change through mappings of their own while this process looks.
pub struct SharedWords<const WORDS: usize>(Mapping);

impl<const WORDS: usize> SharedWords<WORDS> {
    /// Maps the beginning of `file`, and never closes it: closing any descriptor of a file drops every POSIX lock that
    /// this process holds on it, those of a library that has the same file open included.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file is too short, besides what the system says.
    pub fn new(file: File) -> io::Result<Self> {
        let file = ManuallyDrop::new(file);
        let length = WORDS * size_of::<u32>();
        if file.metadata()?.len() < length as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Mapping::new(&*file, length).map(Self)
    }

    /// Reads `N` words from `first` on, each whole, and all of them before whatever is read after this call.
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

/// Asks the kernel to start writing `length` dirty bytes from `offset` on to disk, without waiting for them.
/// A hint: what it cannot do here, the final sync does.
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

/// Has the allocator keep the buffers of uploads, instead of giving them back to the system after each use: that costs a
/// page fault for every 4 KiB of the next one, 8 % of the CPU time of a push. Up to 8 MiB stay unused that way in each of
/// its arenas. The two thresholds are glibc's; another libc is left as it is.
pub fn keep_buffers() {
    #[cfg(target_env = "gnu")]
    for (threshold, bytes) in [
        (libc::M_MMAP_THRESHOLD, 4 << 20),
        (libc::M_TRIM_THRESHOLD, 8 << 20),
    ] {
        // SAFETY: takes no pointers; a value that it refuses changes nothing.
        unsafe { libc::mallopt(threshold, bytes) };
    }
}
