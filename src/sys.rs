//! System calls of Linux that no safe crate wraps. The only file of this crate with `unsafe` in it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

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
    pub fn new(file: &File, length: usize) -> io::Result<Self> {
        // SAFETY: a null hint lets the kernel choose a free range, the descriptor is open for the length of the call,
        // and the result is checked before it is used.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED | libc::MAP_NORESERVE, file.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Self { start, length }) }
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
        let answer = unsafe { libc::mincore(self.start.byte_add(first), end - first, pages.as_mut_ptr()) };
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

/// Asks the kernel to start writing `length` dirty bytes from `offset` on to disk, without waiting for them.
/// A hint: what it cannot do here, the final sync does.
pub fn start_write_back(file: &File, offset: u64, length: u64) {
    if let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) {
        // SAFETY: takes no pointers; the descriptor is open for the length of the call.
        unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
    }
}
