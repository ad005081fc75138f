//! Making an upload a blob, and ending it.

use std::sync::Arc;

use crate::blob::{BlobStore, Hasher, UploadFile, UploadId};
use crate::meta::{Actor, now};
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::slices::Uploads;
use crate::registry::upload::ingest::HashedFile;

/// How an upload reaches the registry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A session, over several requests.
    Session,
    /// One request that carries the whole blob.
    Request,
}

impl Uploads<'_> {
    /// Verifies, syncs and publishes a whole upload. The file, and with it the lock, comes back whatever happens:
    /// nobody else may touch the upload's name before it is decided what becomes of it.
    pub(super) async fn store(
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
    pub(super) async fn publish(
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
    pub(super) async fn release(self, id: &UploadId, file: Arc<UploadFile>) -> Result<(), Error> {
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

/// Takes back what a failed request added; what was acknowledged before it stays. A lost write is reported once, so bytes
/// that could not be synced must go: a second sync that succeeds would prove nothing of them.
pub(super) async fn roll_back(file: impl Into<Arc<UploadFile>>, start: u64) -> Result<(), Error> {
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
