//! Upload sessions: from POST to PUT (OCI distribution-spec 1.1, "Pushing blobs").
//!
//! A session is a row, which tells how many bytes of its file were acknowledged: what lies beyond them, after a crash, is
//! cut off when the session goes on. While a request works on it, the file is locked, and the row is looked at again once
//! the lock is held: whoever finishes a session deletes its row before letting go.

use std::sync::Arc;
use std::time::Duration;

use crate::blob::{BlobStore, Hasher, UploadFile, UploadId};
use crate::meta::{Actor, Millis, UploadRow, WriteTx, now, point};
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::slices::{Blobs, Uploads};
use crate::registry::upload::ingest::BodyStream;
use crate::registry::upload::ingest::{HashedFile, IngestError};

/// How often, and how far apart, a locked session is tried again: a client that resumes may be faster than the news
/// that its last connection broke.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Where a chunk says it belongs: both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRange {
    pub first: u64,
    pub last: u64,
}

impl ChunkRange {
    /// In bytes; 0 where `last` is the byte before `first`, as some clients announce an empty chunk.
    fn length(self) -> u64 {
        self.last.saturating_add(1).saturating_sub(self.first)
    }
}

/// How an upload reaches the registry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A session, over several requests.
    Session,
    /// One request that carries the whole blob.
    Request,
}

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

    /// Fails where there is no such session in the repository.
    async fn session(self, repository: &RepositoryName, id: &UploadId) -> Result<UploadRow, Error> {
        let session = point(|reader| reader.upload(repository, id.as_str()));
        self.registry
            .meta
            .read(session)
            .await?
            .ok_or_else(|| Error::UploadUnknown(id.clone()))
    }

    /// Opens a session's file and the hash of what it holds, and checks that the next chunk belongs there.
    async fn resume(
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
    fn hash_so_far(self, id: &UploadId, row: &UploadRow, length: u64) -> Option<Hasher> {
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
    async fn lock_session(
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
    async fn open_file(self, id: &UploadId) -> Result<UploadFile, Error> {
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

    /// Verifies, syncs and publishes a whole upload. The file, and with it the lock, comes back whatever happens:
    /// nobody else may touch the upload's name before it is decided what becomes of it.
    async fn store(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        digest: &Digest,
        intake: HashedFile,
        origin: Origin,
        actor: &Actor,
    ) -> Result<(Arc<UploadFile>, Result<(), Error>), Error> {
        let (file, actual) =
            verify(Arc::clone(&self.registry.blobs), intake, digest.algorithm()).await?;
        let file = Arc::new(file);
        let stored = match actual {
            Ok(actual) if actual == *digest => {
                self.publish(repository, id, digest, &file, origin, actor)
                    .await
            }
            Ok(actual) => Err(Error::DigestMismatch {
                expected: digest.clone(),
                actual,
            }),
            Err(error) => Err(Error::files("syncing an upload")(error)),
        };
        Ok((file, stored))
    }

    /// The one change that makes an upload a blob of a repository.
    async fn publish(
        self,
        repository: &RepositoryName,
        id: &UploadId,
        digest: &Digest,
        file: &Arc<UploadFile>,
        origin: Origin,
        actor: &Actor,
    ) -> Result<(), Error> {
        let (repository, digest, session) = (repository.clone(), digest.clone(), id.clone());
        let (blobs, file) = (Arc::clone(&self.registry.blobs), Arc::clone(file));
        self.registry
            .write(actor.clone(), move |tx, _| {
                if origin == Origin::Session && !tx.delete_upload(session.as_str())? {
                    return Err(Error::UploadUnknown(session));
                }
                let now = now();
                let repository = tx.ensure_repository(&repository, now)?;
                let blob = match tx.blob(&digest)? {
                    Some(blob) if blobs.has_blob(&digest, blob.size) => blob,
                    known => {
                        // a row without its file can only be somebody's hand: what was just verified mends it
                        blobs
                            .publish(&session, &file, &digest)
                            .map_err(Error::files("putting a blob in its place"))?;
                        known.map_or_else(|| tx.insert_blob(&digest, file.length(), now), Ok)?
                    }
                };
                Ok(tx.link_blob(repository, &digest, blob, now)?)
            })
            .await
    }

    /// Removes an upload's own name; its lock, held by `file`, ends only then.
    async fn release(self, id: &UploadId, file: Arc<UploadFile>) -> Result<(), Error> {
        self.registry.unsaved_hashes.lock().remove(id);
        let (id, blobs) = (id.clone(), Arc::clone(&self.registry.blobs));
        let removed = blocking(move || {
            // last, so that until here the file can be opened by whoever has to settle what a crash left
            blobs
                .remove_upload(&id)
                .and_then(|()| file.make_read_only())
        });
        if let Err(error) = removed.await? {
            // the blob is safe; the name that stays is swept at the next start
            tracing::warn!(%error, "a finished upload's file could not be removed");
        }
        Ok(())
    }

    /// Ends an upload's session, if it has one, and removes its file. Only the lock's holder, who has `file`, may do this.
    pub(in crate::registry) async fn discard(
        self,
        id: &UploadId,
        file: impl Into<Arc<UploadFile>>,
        actor: Actor,
    ) -> Result<(), Error> {
        let file = file.into();
        self.registry.unsaved_hashes.lock().remove(id);
        let (session, removed, blobs) = (id.clone(), id.clone(), Arc::clone(&self.registry.blobs));
        // the row first: without it nobody makes a new file under the name that the lock is about to lose
        let ended = self
            .registry
            .write(actor, move |tx, _| Ok(tx.delete_upload(session.as_str())?))
            .await;
        // and the file even if the disk is too full for that
        blocking(move || blobs.discard_upload(&removed))
            .await?
            .map_err(Error::files("removing an upload"))?;
        drop(file);
        ended.map(|_| ())
    }
}

impl Blobs<'_> {
    /// Stores a blob that comes whole in one request, without a session.
    ///
    /// # Errors
    /// Nothing remains of a body that breaks off or has another digest.
    pub async fn push(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        body: impl BodyStream,
        actor: Actor,
    ) -> Result<(), Error> {
        self.registry.check_disk_space(0)?;
        let id = UploadId::random();
        let file = self.registry.uploads().open_file(&id).await?;
        let intake = HashedFile {
            file,
            hasher: Hasher::new(digest.algorithm()),
        };
        let (file, stored) = match self.registry.uploads().ingest(intake, body).await {
            Ok(intake) => {
                self.registry
                    .uploads()
                    .store(repository, &id, digest, intake, Origin::Request, &actor)
                    .await?
            }
            Err(IngestError::Body(intake, error)) => (Arc::new(intake.file), Err(error)),
            Err(IngestError::Broken(Some(file), error)) => (Arc::new(file), Err(error)),
            Err(IngestError::Broken(None, error)) => return Err(error),
        };
        match stored {
            Ok(()) => self.registry.uploads().release(&id, file).await?,
            Err(_) => self.registry.uploads().discard(&id, file, actor).await?,
        }
        stored
    }
}

/// Takes back what a failed request added; what was acknowledged before it stays. A lost write is reported once, so bytes
/// that could not be synced must go: a second sync that succeeds would prove nothing of them.
async fn roll_back(file: impl Into<Arc<UploadFile>>, start: u64) -> Result<(), Error> {
    let file = file.into();
    if let Err(error) = blocking(move || file.truncate(start)).await? {
        tracing::warn!(%error, "what a failed upload left could not be dropped");
    }
    Ok(())
}

/// The digest of all the file holds, by `algorithm`, once every byte of it is on disk.
async fn verify(
    blobs: Arc<BlobStore>,
    intake: HashedFile,
    algorithm: Algorithm,
) -> Result<(UploadFile, std::io::Result<Digest>), Error> {
    let HashedFile { file, hasher } = intake;
    let work = move || {
        let synced = blobs.stats().file_syncs.time(|| file.sync());
        let hasher = synced.and_then(|()| {
            if hasher.algorithm() == algorithm {
                Ok(hasher)
            } else {
                file.rehash(algorithm)
            }
        });
        (file, hasher.map(Hasher::finish))
    };
    blocking(work).await
}
