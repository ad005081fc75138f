//! Reading blobs again, past the page cache, to compare them with their digests.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use super::hasher::Hasher;
use super::store::BlobStore;
use crate::oci::Digest;
use crate::sys::IdleDisk;

/// Number of bytes read at once.
const PIECE: usize = 1 << 20;
/// Alignment that reads past the page cache need, in bytes.
const ALIGNMENT: usize = 4096;

/// A blob's file while it is hashed, piece by piece.
///
/// It is read from the disk itself where the file system can do that: what is in memory may be sound although the disk is
/// not, and what clients pull stays in memory.
pub struct BlobHash {
    file: File,
    /// Size of the file, in bytes.
    size: u64,
    hasher: Hasher,
    buffer: Vec<u8>,
    is_at_end: bool,
    is_direct: bool,
    priority: Priority,
}

/// Priority of reading from the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    Normal,
    /// After everybody else, where the disk's scheduler knows that.
    Idle,
}

impl BlobStore {
    /// Begins to hash a blob's file. Blocks.
    ///
    /// # Errors
    /// `NotFound` if its file is absent, and file system errors.
    pub fn begin_hash(&self, digest: &Digest, priority: Priority) -> io::Result<BlobHash> {
        let file = self.open_file(digest)?;
        Ok(BlobHash {
            is_direct: set_direct(&file, true).is_ok(),
            size: file.metadata()?.len(),
            is_at_end: false,
            file,
            hasher: Hasher::new(digest.algorithm()),
            buffer: Vec::new(),
            priority,
        })
    }
}

impl BlobHash {
    /// Hashes the next piece; returns its length. Blocks.
    ///
    /// # Errors
    /// File system errors.
    pub fn step(&mut self) -> io::Result<usize> {
        let _idle = (self.priority == Priority::Idle).then(IdleDisk::enter);
        let piece = usize::try_from(self.size).map_or(PIECE, |size| size.min(PIECE));
        let piece = piece.max(1).next_multiple_of(ALIGNMENT);
        if self.buffer.is_empty() {
            self.buffer = vec![0; piece + ALIGNMENT];
        }
        let skip = self.buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let piece = &mut self.buffer[skip..skip + piece];
        loop {
            match self.file.read_at(piece, self.hasher.length()) {
                Ok(read) => {
                    self.hasher.update(&piece[..read]);
                    self.is_at_end = read == 0 || self.hasher.length() >= self.size;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // the file system needs another alignment
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && self.is_direct => {
                    set_direct(&self.file, false)?;
                    self.is_direct = false;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reports whether all of the file has been hashed.
    pub fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Returns the digest and the number of all bytes that were hashed.
    pub fn finish(self) -> (Digest, u64) {
        let length = self.hasher.length();
        (self.hasher.finish(), length)
    }
}

/// Reports whether an error says that a disk has lost what it held, rather than what may be mended, such as rights.
pub fn is_disk_failure(error: &io::Error) -> bool {
    const FAILURES: [Errno; 4] = [Errno::IO, Errno::BADMSG, Errno::NODATA, Errno::UCLEAN];
    let code = error.raw_os_error();
    FAILURES
        .iter()
        .any(|failure| Some(failure.raw_os_error()) == code)
}

/// Switches reads past the page cache on or off.
fn set_direct(file: &File, is_direct: bool) -> io::Result<()> {
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, is_direct);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Algorithm;

    #[test]
    fn a_file_of_any_length_has_its_digest() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::new(directory.path());
        store.prepare().unwrap();
        for length in [0, 1, ALIGNMENT, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 5] {
            let content = vec![7; length];
            let digest = Hasher::digest(Algorithm::Sha256, &content);
            let path = store.blob(&digest).unwrap().path();
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &content).unwrap();
            let mut hash = store.begin_hash(&digest, Priority::Idle).unwrap();
            while !hash.is_at_end() {
                hash.step().unwrap();
            }
            assert_eq!(hash.finish(), (digest, length as u64));
        }
    }
}
