//! Uploads whose bytes arrive fast: two threads receive, write and hash them.
//!
//! One thread receives into a buffer and writes it to the file, the other hashes it. Neither waits for the async workers,
//! which costs a third of what handing over each batch to them does. As soon as the bytes arrive slowly, the threads end,
//! and the upload goes on in batches (`ingest.rs`).

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::blob::{Hasher, UploadFile};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Uploads;
use crate::registry::service::Registry;
use crate::registry::upload::body::DirectSource;
use crate::registry::upload::hashed_file::HashedFile;
use crate::registry::upload::ingest::{IngestError, SPACE_CHECK_STEP};

/// Size of a buffer, in bytes: few system calls and hand-overs, and still warm in the cache when it is written.
const BUFFER_SIZE: usize = 512 << 10;
/// Number of buffers: one is filled while the other is hashed.
const BUFFERS: usize = 2;
/// Disk space that is reserved at once, in bytes. An upload that is killed keeps it until it continues or expires.
const RESERVE_STEP: u64 = 16 << 20;

/// Bytes of a buffer that are to be hashed.
struct Filled {
    buffer: Vec<u8>,
    length: usize,
}

impl Uploads<'_> {
    /// Appends what a source has, until it is slow or at its end.
    ///
    /// Appends nothing if too many uploads have threads.
    pub(super) async fn receive_directly(
        self,
        upload: HashedFile,
        source: Box<dyn DirectSource>,
    ) -> Result<HashedFile, IngestError> {
        let Some(_permit) = self.registry.batches.try_acquire_direct() else {
            return Ok(upload);
        };
        let HashedFile { file, hasher, .. } = upload;
        let (filled, to_hash) = sync_channel(BUFFERS);
        let (hashed, empty) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            // there is room for all of them, and the receiver is there
            let _ = hashed.send(vec![0; BUFFER_SIZE]);
        }
        let receiver = DirectReceiver {
            registry: self.registry.clone(),
            source,
            file,
            filled,
            empty,
            reserved: 0,
        };
        let (hasher, received) = tokio::join!(
            blocking(move || hash(hasher, to_hash, &hashed)),
            blocking(move || receiver.run())
        );
        let (file, outcome) = received.map_err(|error| IngestError::Broken(None, error))?;
        match (hasher, outcome) {
            (Ok(hasher), Ok(())) => Ok(HashedFile::new(file, hasher)),
            (_, Err(error)) | (Err(error), Ok(())) => {
                Err(IngestError::Broken(Some(Box::new(file)), error))
            }
        }
    }
}

/// Hashes buffers as they come, and gives them back.
fn hash(mut hasher: Hasher, to_hash: Receiver<Filled>, hashed: &SyncSender<Vec<u8>>) -> Hasher {
    for Filled { buffer, length } in to_hash {
        hasher.update(&buffer[..length]);
        // an error: nothing more is received
        let _ = hashed.send(buffer);
    }
    hasher
}

/// The thread that receives and writes.
struct DirectReceiver {
    registry: Registry,
    source: Box<dyn DirectSource>,
    file: UploadFile,
    filled: SyncSender<Filled>,
    empty: Receiver<Vec<u8>>,
    /// Length of the file for which there is disk space.
    reserved: u64,
}

impl DirectReceiver {
    fn run(mut self) -> (UploadFile, Result<(), Error>) {
        let received = self.receive();
        let length = self.file.length();
        let outcome = if self.reserved > length {
            let freed = self.file.truncate(length);
            received.and(freed.map_err(Error::files("truncating an upload")))
        } else {
            received
        };
        (self.file, outcome)
    }

    fn receive(&mut self) -> Result<(), Error> {
        let mut unchecked = 0;
        // no buffer comes back if the hash has failed, which its own thread reports
        while let Ok(mut buffer) = self.empty.recv() {
            let length = self.source.fill(&mut buffer);
            if length == 0 {
                break;
            }
            self.reserve(length);
            self.file
                .append(&[&buffer[..length]])
                .map_err(Error::files("writing an upload"))?;
            self.registry.batches.direct_bytes().add(length as u64);
            let is_full = length == buffer.len();
            let is_hashing = self.filled.send(Filled { buffer, length }).is_ok();
            if !is_full || !is_hashing {
                break;
            }
            unchecked += length as u64;
            if unchecked >= SPACE_CHECK_STEP {
                unchecked = 0;
                self.registry.check_disk_space(0)?;
            }
        }
        Ok(())
    }

    /// Reserves disk space for `length` bytes at least, and never for more than the whole body.
    fn reserve(&mut self, length: usize) {
        let end = self.file.length() + length as u64;
        if end > self.reserved {
            let bytes = RESERVE_STEP.min(length as u64 + self.source.rest());
            self.file.reserve(bytes);
            self.reserved = self.file.length() + bytes;
        }
    }
}
