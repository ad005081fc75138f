//! Opening and locking the file of an upload session.

use std::sync::Arc;
use std::time::Duration;

use crate::blob::{Hasher, UploadFile, UploadId};
use crate::meta::{UploadRow, point};
use crate::oci::RepositoryName;
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Uploads;
use crate::registry::upload::chunk_range::ChunkRange;
use crate::registry::upload::hashed_file::HashedFile;

/// Number of attempts to lock a session.
///
/// A client that resumes may be faster than the news that its last connection broke.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

impl Uploads<'_> {
    /// Returns the session's row.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`] if the repository has no such session.
    pub(super) async fn session(
        self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<UploadRow, Error> {
        let session = point(|reader| reader.upload(repository, id.as_str()));
        self.registry
            .meta
            .read(session)
            .await?
            .ok_or_else(|| Error::UploadUnknown(id.clone()))
    }

    /// Opens a session's file and hash for another chunk.
    ///
    /// `is_in_order` decides on the chunk's range, given the number of bytes received so far.
    pub(super) async fn resume(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        range: Option<ChunkRange>,
        is_in_order: fn(ChunkRange, u64) -> bool,
    ) -> Result<HashedFile, Error> {
        self.session(repository, id).await?;
        self.registry.check_disk_space(0)?;
        let (file, row) = self.lock_session(repository, id).await?;
        let file = match row.received {
            // unacknowledged bytes, left by a crash or a disk failure
            Some(received) if received < file.length() => {
                blocking(move || file.shortened(received))
                    .await?
                    .map_err(Error::files("truncating an upload"))?
            }
            _ => file,
        };
        let received = file.length();
        if range.is_some_and(|range| !is_in_order(range, received)) {
            return Err(Error::ChunkOutOfOrder { received });
        }
        match self.hash_so_far(id, &row, received) {
            Some(hasher) => Ok(HashedFile::new(file, hasher)),
            None => {
                let reading = move || {
                    file.rehash(row.algorithm)
                        .map(|hasher| HashedFile::new(file, hasher))
                };
                blocking(reading)
                    .await?
                    .map_err(Error::files("reading an upload back"))
            }
        }
    }

    /// Returns the hash of the first `length` bytes, if it is known without reading the file.
    pub(super) fn hash_so_far(self, id: &UploadId, row: &UploadRow, length: u64) -> Option<Hasher> {
        let unsaved = self.registry.unsaved_hashes.lock().remove(id);
        if length == 0 {
            return Some(Hasher::new(row.algorithm));
        }
        row.hash_state
            .as_deref()
            .and_then(|state| Hasher::restore(state, row.algorithm, length))
            .or(unsaved.filter(|hasher| hasher.length() == length))
    }

    /// Opens and locks the file of a session whose row was found.
    ///
    /// The row is read again under the lock, because the last holder may have finished the session.
    pub(super) async fn lock_session(
        self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<(UploadFile, UploadRow), Error> {
        let file = self.open_file(id).await?;
        match self.session(repository, id).await {
            Ok(row) => Ok((file, row)),
            Err(error) => {
                if matches!(error, Error::UploadUnknown(_)) {
                    self.registry
                        .blobs
                        .discard_upload(id)
                        .map_err(Error::files("removing an upload"))?;
                }
                Err(error)
            }
        }
    }

    /// Opens and locks a file, waiting a while for another request to release it.
    pub(in crate::registry) async fn open_file(self, id: &UploadId) -> Result<UploadFile, Error> {
        for _ in 0..LOCK_TRIES {
            match self.registry.blobs.open_upload(id) {
                Ok(Some(file))
                    if file
                        .is_published()
                        .map_err(Error::files("inspecting an upload"))? =>
                {
                    // its last holder died, or its commit failed: resolved now, the session may
                    // continue
                    let file = Arc::new(file);
                    if self.resolve_published(id, &file).await?
                        && let Ok(file) = Arc::try_unwrap(file)
                    {
                        // a second name that is not ours belongs to a backup made of hard links
                        return Ok(file);
                    }
                }
                Ok(Some(file)) => return Ok(file),
                Ok(None) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(error) => return Err(Error::files("opening an upload")(error)),
            }
        }
        Err(Error::UploadBusy(id.clone()))
    }
}
