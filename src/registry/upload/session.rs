//! Upload sessions: from POST to PUT (OCI distribution-spec 1.1, "Pushing blobs").
//!
//! A session is a row, which tells how many bytes of its file were acknowledged: what lies beyond them, after a crash, is
//! cut off when the session goes on. While a request works on it, the file is locked, and the row is looked at again once
//! the lock is held: whoever finishes a session deletes its row before letting go.

use std::sync::Arc;

use crate::blob::{Hasher, UploadId};
use crate::meta::{Actor, Millis, WriteTx, now};
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::slices::Uploads;
use crate::registry::upload::chunk_range::ChunkRange;
use crate::registry::upload::ingest::{BodyStream, HashedFile, IngestError};
use crate::registry::upload::publish::{Origin, roll_back};

/// What has arrived of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    pub id: UploadId,
    /// In bytes.
    pub received: u64,
}

impl Uploads<'_> {
    /// Opens a session. `algorithm` is what the client's digest will use, where it says so.
    pub async fn begin(
        self,
        repository: &RepositoryName,
        algorithm: Algorithm,
        actor: Actor,
    ) -> Result<UploadStatus, Error> {
        self.registry.check_disk_space(0)?;
        let (id, repository) = (UploadId::random(), repository.clone());
        let lifetime = self
            .registry
            .settings()
            .upload_expiry
            .lifetime()
            .unwrap_or(Millis::MAX);
        let status = UploadStatus {
            id: id.clone(),
            received: 0,
        };
        self.registry
            .write(actor, move |tx, _| {
                let now = now();
                let end = now.saturating_add(lifetime);
                Ok(tx.insert_upload(id.as_str(), &repository, algorithm, now, end)?)
            })
            .await?;
        Ok(status)
    }

    /// How far a session has come.
    pub async fn status(
        self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<UploadStatus, Error> {
        let row = self.session(repository, id).await?;
        let length = self
            .registry
            .blobs
            .upload_length(id)
            .map_err(Error::files("looking at an upload"))?;
        Ok(UploadStatus {
            id: id.clone(),
            received: row.received.map_or(length, |received| received.min(length)),
        })
    }

    /// Appends a chunk, and answers once it is on disk.
    ///
    /// Where the body breaks off, what had arrived stays, for the client to ask about and go on from.
    pub async fn append(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        range: Option<ChunkRange>,
        body: impl BodyStream,
        actor: Actor,
    ) -> Result<UploadStatus, Error> {
        let intake = self.resume(repository, id, range).await?;
        let start = intake.file.length();
        let intake = self.receive(id, intake, range, body, &actor).await?;
        let received = intake.file.length();
        self.acknowledge(id, intake, start, &actor).await?;
        Ok(UploadStatus {
            id: id.clone(),
            received,
        })
    }

    /// Appends the last chunk, if there is one, and makes the whole upload a blob of the repository.
    ///
    /// # Errors
    /// Where the content has another digest, the session is over and nothing of it remains.
    pub async fn finish(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        digest: &Digest,
        range: Option<ChunkRange>,
        body: impl BodyStream,
        actor: Actor,
    ) -> Result<(), Error> {
        let mut intake = self.resume(repository, id, range).await?;
        if intake.file.length() == 0 {
            intake.hasher = Hasher::new(digest.algorithm());
        }
        let start = intake.file.length();
        let intake = self.receive(id, intake, range, body, &actor).await?;
        let origin = Origin::Session;
        let (file, stored) = self
            .store(repository, id, digest, intake, origin, &actor)
            .await?;
        match &stored {
            Ok(()) => self.release(id, file).await?,
            Err(Error::DigestMismatch { .. }) => self.discard(id, file, actor).await?,
            // a published file may be a blob yet, should a commit that failed on a full disk come back with a crash
            Err(Error::Files { .. } | Error::StorageFull)
                if file.is_published().is_ok_and(|published| !published) =>
            {
                roll_back(file, start).await?;
            }
            Err(_) => {}
        }
        stored
    }

    /// Ends a session and drops what it received.
    pub async fn cancel(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        actor: Actor,
    ) -> Result<(), Error> {
        // waits for a request that still writes, so that it cannot finish what is cancelled
        let (file, _) = self.lock_session(repository, id).await?;
        self.discard(id, file, actor).await
    }

    /// Takes in one request's body; whatever goes wrong, the session is left so that a client can go on with it.
    async fn receive(
        self,
        id: &UploadId,
        intake: HashedFile,
        range: Option<ChunkRange>,
        body: impl BodyStream,
        actor: &Actor,
    ) -> Result<HashedFile, Error> {
        let start = intake.file.length();
        match self.ingest(intake, body).await {
            Ok(intake) => {
                let received = intake.file.length() - start;
                let promised = range.map_or(received, ChunkRange::length);
                if promised == received {
                    return Ok(intake);
                }
                roll_back(intake.file, start).await?;
                Err(Error::SizeMismatch { promised, received })
            }
            Err(IngestError::Body(intake, error)) => {
                self.acknowledge(id, *intake, start, actor).await?;
                Err(error)
            }
            Err(IngestError::Broken(file, error)) => {
                if let Some(file) = file {
                    roll_back(file, start).await?;
                }
                Err(error)
            }
        }
    }

    /// Makes what has arrived since `start` durable, and the file's name, which an earlier request may have made in vain,
    /// and then records that the client may go on from there, with the state of the hash.
    async fn acknowledge(
        self,
        id: &UploadId,
        intake: HashedFile,
        start: u64,
        actor: &Actor,
    ) -> Result<(), Error> {
        let blobs = Arc::clone(&self.registry.blobs);
        let HashedFile { file, hasher } = intake;
        let work = move || {
            let synced = blobs
                .stats()
                .file_syncs
                .time(|| file.sync())
                .and_then(|()| blobs.sync_uploads());
            (file, synced)
        };
        let (file, synced) = blocking(work).await?;
        let received = file.length();
        let hash_state = hasher.save();
        let is_saved = hash_state.is_some();
        let recorded = match synced {
            Ok(()) => self.record_progress(id, received, hash_state, actor).await,
            Err(error) => Err(Error::files("syncing an upload")(error)),
        };
        match &recorded {
            Ok(()) if is_saved => {}
            Ok(()) => {
                self.registry
                    .unsaved_hashes
                    .lock()
                    .insert(id.clone(), hasher);
            }
            Err(_) => roll_back(file, start).await?,
        }
        recorded
    }

    async fn record_progress(
        self,
        id: &UploadId,
        received: u64,
        hash_state: Option<Vec<u8>>,
        actor: &Actor,
    ) -> Result<(), Error> {
        let id = id.clone();
        let record = move |tx: &WriteTx<'_>, _: &Actor| {
            if tx.set_upload_progress(id.as_str(), received, hash_state.as_deref())? {
                Ok(())
            } else {
                Err(Error::UploadUnknown(id))
            }
        };
        self.registry.write(actor.clone(), record).await
    }
}
