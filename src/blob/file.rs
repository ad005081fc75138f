//! The file of a blob, as its readers see it.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use super::traffic::InUse;
use crate::sys::{self, Mapping};

/// A blob's file, open for reading. Its bytes never change.
#[derive(Debug)]
pub struct BlobFile {
    file: File,
    _in_use: InUse,
}

impl BlobFile {
    pub(super) fn new(file: File, in_use: InUse) -> Self {
        Self {
            file,
            _in_use: in_use,
        }
    }

    /// Fills `buffer` with the bytes from `offset` on. Blocks.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before the buffer is full, and file system errors.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// Fills `buffer` with the bytes from `offset` on if all of them are in the page cache, and never waits for the disk.
    ///
    /// Returns false if some are not; the buffer's content is then unspecified.
    pub fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> bool {
        let length = buffer.len();
        let read = rustix::io::preadv2(
            &self.file,
            &mut [IoSliceMut::new(buffer)],
            offset,
            rustix::io::ReadWriteFlags::NOWAIT,
        );
        // fewer bytes: the rest is on the disk
        read.is_ok_and(|read| read == length)
    }

    /// Asks the kernel to load `length` bytes from `offset` on into the page cache, without waiting for them.
    pub fn prefetch(&self, offset: u64, length: u64) {
        let _ = rustix::fs::fadvise(
            &self.file,
            offset,
            NonZeroU64::new(length),
            rustix::fs::Advice::WillNeed,
        );
    }

    /// Reports whether all bytes of `range` are in the page cache, so that sending them does not wait for the disk.
    ///
    /// `mapping` is one of this file.
    pub fn is_cached(&self, mapping: &Mapping, range: Range<usize>) -> bool {
        match sys::is_cached(&self.file, range.clone()) {
            // of pages that are being read, the last one is the last to arrive
            Some(is_cached) => {
                is_cached && mapping.is_resident(range.end.saturating_sub(1)..range.end)
            }
            None => mapping.is_resident(range),
        }
    }

    /// Maps the whole file into memory; `None` if that is impossible or the file does not have exactly `size` bytes.
    pub fn map(&self, size: u64) -> Option<Mapping> {
        let is_whole = self.file.metadata().is_ok_and(|file| file.len() == size);
        self.map_ahead(size).filter(|_| is_whole)
    }

    /// Maps a file that will have `size` bytes. Only what is there may be read by the mapping.
    pub fn map_ahead(&self, size: u64) -> Option<Mapping> {
        let length = usize::try_from(size).ok()?;
        Mapping::new(&self.file, length).ok()
    }
}

/// For sending it to a socket.
impl AsFd for BlobFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
