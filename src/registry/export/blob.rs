//! Blobs, compared with their digests while they are copied.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use crate::blob::{BlobFile, BlobStore, Hasher};
use crate::oci::Digest;
use crate::registry::facades::Export;

/// Size of the pieces in which blobs are copied, in bytes.
const PIECE: usize = 1 << 20;

/// Reader of blobs, for threads that may wait.
#[derive(Clone)]
pub struct BlobReader {
    blobs: Arc<BlobStore>,
}

/// Reason why a blob was not copied completely.
#[derive(Debug)]
pub enum CopyError {
    /// One clause that says what is wrong with the blob's file.
    Damaged(String),
    Unreadable(io::Error),
    /// The receiver failed.
    Unwritten(io::Error),
}

impl Export<'_> {
    /// Returns a reader of blobs, whichever repository they belong to.
    pub fn blob_reader(self) -> BlobReader {
        BlobReader {
            blobs: Arc::clone(&self.registry.blobs),
        }
    }
}

impl BlobReader {
    /// Copies a blob of `size` bytes piece by piece. Blocks.
    ///
    /// The receiver has got bytes of a damaged blob, too, when this fails.
    pub fn copy(
        &self,
        digest: &Digest,
        size: u64,
        write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), CopyError> {
        let file = match self.blobs.open_blob(digest) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(CopyError::Damaged("its file is missing".to_owned()));
            }
            Err(error) => return Err(CopyError::Unreadable(error)),
        };
        let mut hasher = Hasher::new(digest.algorithm());
        let mut buffer = vec![0; PIECE.min(usize::try_from(size).unwrap_or(PIECE)).max(1)];
        while hasher.length() < size {
            let rest = usize::try_from(size - hasher.length()).unwrap_or(PIECE);
            let length = rest.min(buffer.len());
            let piece = &mut buffer[..length];
            read(&file, piece, hasher.length(), size)?;
            hasher.update(piece);
            write(piece).map_err(CopyError::Unwritten)?;
        }
        if file.read_exact_at(&mut buffer[..1], size).is_ok() {
            return Err(CopyError::Damaged(format!(
                "its file has more than {size} bytes"
            )));
        }
        match hasher.finish() {
            found if found == *digest => Ok(()),
            found => Err(CopyError::Damaged(format!("its file has digest {found}"))),
        }
    }
}

fn read(file: &BlobFile, piece: &mut [u8], offset: u64, size: u64) -> Result<(), CopyError> {
    file.read_exact_at(piece, offset)
        .map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                CopyError::Damaged(format!("its file has fewer than {size} bytes"))
            }
            _ => CopyError::Unreadable(error),
        })
}
