//! Upload sessions: from POST to PUT (OCI distribution-spec 1.1, "Pushing blobs").
//!
//! A session is a row that records how many bytes of its file were acknowledged. Bytes beyond them,
//! left by a crash, are cut off when the session continues. While a request works on the session,
//! its file is locked, and the row is checked again once the lock is held, because whoever finishes
//! a session deletes its row before releasing the lock.

use std::sync::Arc;

use futures_util::stream::StreamExt;

use crate::blob::{Hasher, UploadId};
use crate::meta::{Actor, Millis, WriteTx, now};
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::precondition::Precondition;
use crate::registry::error::Error;
use crate::registry::facades::Uploads;
use crate::registry::upload::body::{BodyStream, Part};
use crate::registry::upload::chunk_range::ChunkRange;
use crate::registry::upload::hashed_file::HashedFile;
use crate::registry::upload::ingest::IngestError;
use crate::registry::upload::meter::{Meter, Metered};
use crate::registry::upload::publish::{Origin, roll_back};

/// Progress of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    pub id: UploadId,
    /// Received bytes.
    pub received: u64,
}

/// Request that closes a session.
#[derive(Clone, Debug)]
pub struct ClosingRequest {
    pub digest: Digest,
    /// Length of its body, if its headers say so.
    pub length: Option<u64>,
    /// Range of its body within the upload.
    pub range: Option<ChunkRange>,
    /// Condition on the blob.
    pub condition: Precondition,
}

impl Uploads<'_> {
    /// Opens a session; `algorithm` is that of the client's digest, if it says so.
    pub async fn begin(
        self,
        repository: &RepositoryName,
        algorithm: Algorithm,
        actor: Actor,
    ) -> Result<UploadStatus, Error> {
        self.registry.check_disk_space(0)?;
        // only to refuse where nothing fits
        drop(self.registry.quotas().meter(repository, None, 1).await?);
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
            .write(actor, move |tx, actor| {
                let now = now();
                let end = now.saturating_add(lifetime);
                Ok(tx.insert_upload(id.as_str(), &repository, algorithm, actor, now, end)?)
            })
            .await?;
        Ok(status)
    }

    /// Returns the progress of a session.
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
            .map_err(Error::files("inspecting an upload"))?;
        Ok(UploadStatus {
            id: id.clone(),
            received: row.received.map_or(length, |received| received.min(length)),
        })
    }

    /// Appends a chunk, and returns once it is on disk.
    ///
    /// `announced` is the length of the body, if its headers say so. If its quota is used up, the session is removed. If the body breaks off, what had arrived stays, so that
    /// the client can ask for the progress and continue.
    pub async fn append(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        range: Option<ChunkRange>,
        announced: Option<u64>,
        body: impl BodyStream,
        actor: Actor,
    ) -> Result<UploadStatus, Error> {
        let upload = self
            .resume(repository, id, range, ChunkRange::continues)
            .await?;
        let start = upload.file.length();
        let announced = announced.unwrap_or(0);
        let (meter, upload) = self
            .meter(repository, id, None, announced, upload, &actor)
            .await?;
        let body = Metered::new(body, meter.clone(), announced);
        let length = range.map(ChunkRange::length);
        let upload = match self.receive(upload, length, body).await {
            Ok(upload) => upload,
            Err(IngestError::Body(upload, error)) => {
                if let Some(full) = meter.and_then(|meter| meter.refusal()) {
                    self.discard(id, upload.file, actor).await?;
                    return Err(full);
                }
                self.acknowledge(repository, id, *upload, start, &actor)
                    .await?;
                return Err(error);
            }
            Err(IngestError::Broken(_, error)) => return Err(error),
        };
        let received = upload.length();
        self.acknowledge(repository, id, upload, start, &actor)
            .await?;
        Ok(UploadStatus {
            id: id.clone(),
            received,
        })
    }

    /// Makes room for the next bytes of a session; if there is none, the session is removed.
    async fn meter(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        digest: Option<&Digest>,
        announced: u64,
        upload: HashedFile,
        actor: &Actor,
    ) -> Result<(Option<Arc<Meter>>, HashedFile), Error> {
        let quotas = self.registry.quotas();
        match quotas.meter(repository, digest, announced).await {
            Ok(meter) => Ok((meter, upload)),
            Err(full @ Error::QuotaExceeded { .. }) => {
                self.discard(id, upload.file, actor.clone()).await?;
                Err(full)
            }
            Err(error) => Err(error),
        }
    }

    /// Appends the last chunk, if any, and publishes the upload as a blob of the repository.
    ///
    /// If it fails, nothing of its body stays, so that the client can send the same request again.
    /// A repetition of the request that has ended the session succeeds, because its response may
    /// have been lost.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] if the content has another digest, [`Error::QuotaExceeded`] if it does not fit; the session is
    /// then removed.
    /// [`Error::PreconditionFailed`] if the condition does not hold.
    pub async fn finish(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        request: ClosingRequest,
        body: impl BodyStream,
        actor: Actor,
    ) -> Result<(), Error> {
        let ClosingRequest {
            ref digest,
            length,
            range,
            ref condition,
        } = request;
        let mut body = body.fuse();
        let resumed = self
            .resume(repository, id, range, ChunkRange::can_close)
            .await;
        let mut upload = match resumed {
            Err(unknown @ Error::UploadUnknown(_)) => {
                self.find_finished(repository, digest, unknown).await?;
                // a client that is still sending might never read the response
                while body.next().await.is_some_and(|part| part.is_ok()) {}
                return Ok(());
            }
            other => other?,
        };
        if upload.file.length() == 0 {
            upload.hasher = Hasher::new(digest.algorithm());
        }
        let start = upload.file.length();
        let announced = length.unwrap_or(0);
        let (meter, upload) = self
            .meter(repository, id, Some(digest), announced, upload, &actor)
            .await?;
        let body = Metered::new(body, meter.clone(), announced);
        let upload = match self.receive_last(upload, range, body).await {
            Ok(upload) => upload,
            Err(error) => {
                let Some(full) = meter.and_then(|meter| meter.refusal()) else {
                    return Err(error);
                };
                self.cancel(repository, id, actor).await?;
                return Err(full);
            }
        };
        let origin = Origin::Session(condition);
        let (file, stored) = self
            .store(Some(repository), id, digest, upload, origin, &actor)
            .await?;
        match &stored {
            Ok(()) => self.release(id, file).await?,
            Err(Error::DigestMismatch { .. } | Error::QuotaExceeded { .. }) => {
                self.discard(id, file, actor).await?;
            }
            // not a published file: a crash may bring back the commit that failed on a full disk,
            // and with it the blob
            Err(Error::Files { .. } | Error::StorageFull(_) | Error::PreconditionFailed)
                if file.is_published().is_ok_and(|published| !published) =>
            {
                roll_back(file, start).await?;
            }
            Err(_) => {}
        }
        stored
    }

    /// Returns `unknown`, the error about a missing session, unless the repository holds the blob.
    async fn find_finished(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        unknown: Error,
    ) -> Result<(), Error> {
        match self.registry.blobs().promise(repository, digest).await {
            Ok(_) => Ok(()),
            Err(Error::BlobUnknown { .. }) => Err(unknown),
            Err(error) => Err(error),
        }
    }

    /// Receives the body of the request that closes a session; after a failure nothing of it stays.
    async fn receive_last(
        self,
        upload: HashedFile,
        range: Option<ChunkRange>,
        mut body: impl BodyStream,
    ) -> Result<HashedFile, Error> {
        let start = upload.file.length();
        let is_repeated = range.is_some_and(|range| !range.continues(start));
        if is_repeated && !is_empty(&mut body).await? {
            return Err(Error::ChunkOutOfOrder { received: start });
        }
        let length = range.filter(|_| !is_repeated).map(ChunkRange::length);
        match self.receive(upload, length, body).await {
            Ok(upload) => Ok(upload),
            Err(IngestError::Body(upload, error)) => {
                roll_back(upload.file, start).await?;
                Err(error)
            }
            Err(IngestError::Broken(_, error)) => Err(error),
        }
    }

    /// Ends a session and removes what it received.
    pub async fn cancel(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        actor: Actor,
    ) -> Result<(), Error> {
        self.session(repository, id).await?;
        // waits for a request that is still writing, so that it cannot finish a cancelled session
        let (file, _) = self.lock_session(repository, id).await?;
        self.discard(id, file, actor).await
    }

    /// Receives the body of one request, which has `length` bytes if that is given.
    ///
    /// # Errors
    /// [`IngestError::Body`] with what had arrived; after any other failure nothing of it stays.
    async fn receive(
        self,
        upload: HashedFile,
        length: Option<u64>,
        body: impl BodyStream,
    ) -> Result<HashedFile, IngestError> {
        let start = upload.file.length();
        let (file, error) = match self.ingest(upload, body).await {
            Ok(upload) => {
                let received = upload.length() - start;
                let promised = length.unwrap_or(received);
                if promised == received {
                    return Ok(upload);
                }
                let error = Error::SizeMismatch { promised, received };
                (Some(Box::new(upload.file)), error)
            }
            Err(IngestError::Broken(file, error)) => (file, error),
            Err(cut_off @ IngestError::Body(..)) => return Err(cut_off),
        };
        let rolled_back = match file {
            Some(file) => roll_back(file, start).await,
            None => Ok(()),
        };
        Err(IngestError::Broken(
            None,
            rolled_back.err().unwrap_or(error),
        ))
    }

    /// Makes what has arrived since `start` durable, then records the progress and the state of the
    /// hash.
    ///
    /// Syncs the file's name as well, which an earlier request may have created without success.
    async fn acknowledge(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        upload: HashedFile,
        start: u64,
        actor: &Actor,
    ) -> Result<(), Error> {
        let blobs = Arc::clone(&self.registry.blobs);
        let work = move || {
            let (file, hasher, synced) = upload.sync(&blobs);
            (file, hasher, synced.and_then(|()| blobs.sync_uploads()))
        };
        let (file, hasher, synced) = blocking(work).await?;
        let received = file.length();
        let hash_state = hasher.save();
        let is_saved = hash_state.is_some();
        let recorded = match synced {
            Ok(()) => {
                self.record_progress(repository, id, received, hash_state, actor)
                    .await
            }
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
        repository: &RepositoryName,
        id: &UploadId,
        received: u64,
        hash_state: Option<Vec<u8>>,
        actor: &Actor,
    ) -> Result<(), Error> {
        let id = id.clone();
        let quota = self.registry.settings().quotas.of(repository.as_str());
        let record = move |tx: &WriteTx<'_>, _: &Actor| {
            if let Some(quota) = &quota {
                tx.set_upload_quota(id.as_str(), Some((&quota.name, quota.limit)))?;
            }
            if tx.set_upload_progress(id.as_str(), received, hash_state.as_deref())? {
                Ok(())
            } else {
                Err(Error::UploadUnknown(id))
            }
        };
        self.registry.write(actor.clone(), record).await
    }
}

/// Reads a body to its end or to its first content; true if it has none.
async fn is_empty(body: &mut impl BodyStream) -> Result<bool, Error> {
    while let Some(part) = body.next().await {
        match part.map_err(|cause| Error::Body(cause.to_string()))? {
            Part::Bytes(chunk) if chunk.is_empty() => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}
