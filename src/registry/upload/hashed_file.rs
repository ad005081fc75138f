//! An upload's file, with the hash of its content.

use std::io;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::blob::{BlobStore, Hasher, UploadFile};

/// Chunks of a body that are hashed and written together.
pub(super) struct Batch {
    pub chunks: Vec<Bytes>,
    pub size: usize,
}

impl Batch {
    pub fn push(&mut self, chunk: Bytes) {
        self.size += chunk.len();
        self.chunks.push(chunk);
    }
}

/// An upload's file, and the hash of its content.
pub(in crate::registry) struct HashedFile {
    pub file: UploadFile,
    pub hasher: Hasher,
    /// End of a body, hashed but not yet written, with its place in memory.
    unwritten: Option<Box<(Batch, Option<OwnedSemaphorePermit>)>>,
}

impl HashedFile {
    pub fn new(file: UploadFile, hasher: Hasher) -> Self {
        Self {
            file,
            hasher,
            unwritten: None,
        }
    }

    /// Adds the end of a body, which [`Self::sync`] writes: one thread is woken for both.
    pub(super) fn end_with(mut self, batch: Batch, place: Option<OwnedSemaphorePermit>) -> Self {
        batch
            .chunks
            .iter()
            .for_each(|chunk| self.hasher.update(chunk));
        Self {
            unwritten: Some(Box::new((batch, place))),
            ..self
        }
    }

    /// Number of bytes received so far.
    pub fn length(&self) -> u64 {
        let unwritten = self.unwritten.as_ref().map_or(0, |end| end.0.size);
        self.file.length() + unwritten as u64
    }

    /// Writes every byte to the file. Blocks.
    ///
    /// # Errors
    /// After an error the file may hold part of them: truncate or discard it.
    pub fn write(mut self) -> (Self, io::Result<()>) {
        let unwritten = self.unwritten.take();
        let written = unwritten.map_or(Ok(()), |end| self.file.append(&end.0.chunks));
        (self, written)
    }

    /// Waits until every byte is on disk. Blocks.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn sync(self, blobs: &BlobStore) -> (UploadFile, Hasher, io::Result<()>) {
        let (Self { file, hasher, .. }, written) = self.write();
        let synced = written.and_then(|()| blobs.sync_upload(&file));
        (file, hasher, synced)
    }
}
