//! Opening and locking the file of an upload session.

use std::sync::Arc;
use std::time::Duration;

use crate::blob::{Hasher, UploadFile, UploadId};
use crate::meta::{UploadRow, point};
use crate::oci::RepositoryName;
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::slices::Uploads;
use crate::registry::upload::chunk_range::ChunkRange;
use crate::registry::upload::ingest::HashedFile;

/// How often, and how far apart, a locked session is tried again: a client that resumes may be faster than the news
/// that its last connection broke.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

impl Uploads<'_> {
    /// Fails where there is no such session in the repository.
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

    /// Opens a session's file and the hash of what it holds, and checks that the next chunk belongs there.
    pub(super) async fn resume(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        range: Option<ChunkRange>,
    ) -> Result<HashedFile, Error> {
        self.registry.check_disk_space(0)?;
        let (file, row) = self.lock_session(repository, id).await?;
        let file = match row.received {
            // of no known worth: a server died over it, or a disk failed
            Some(received) if received < file.length() => {
                blocking(move || file.shortened(received))
                    .await?
                    .map_err(Error::files("cutting an upload"))?
            }
            _ => file,
        };
        let received = file.length();
        if range.is_some_and(|range| range.first != received) {
            return Err(Error::ChunkOutOfOrder { received });
        }
        match self.hash_so_far(id, &row, received) {
            Some(hasher) => Ok(HashedFile { file, hasher }),
            None => {
                let reading = move || {
                    file.rehash(row.algorithm)
                        .map(|hasher| HashedFile { file, hasher })
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

    /// Opens and locks a session's file. The row is looked at before, so that a file is made for sessions only, and
    /// again under the lock, for the last holder may have finished.
    pub(super) async fn lock_session(
        self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<(UploadFile, UploadRow), Error> {
        self.session(repository, id).await?;
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

    /// Opens and locks a file, waiting a while for another request to let go of it.
    pub(super) async fn open_file(self, id: &UploadId) -> Result<UploadFile, Error> {
        for _ in 0..LOCK_TRIES {
            match self.registry.blobs.open_upload(id) {
                Ok(Some(file))
                    if file
                        .is_published()
                        .map_err(Error::files("looking at an upload"))? =>
                {
                    // its last holder died, or its commit failed: decided now, the session may go on
                    let file = Arc::new(file);
                    if self.resolve_published(id, &file).await?
                        && let Ok(file) = Arc::try_unwrap(file)
                    {
                        // with two names still, if the other is none of ours: a backup made of hard links has it
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
