//! Publication of a complete upload as a blob, and removal of uploads.

use std::sync::Arc;

use crate::blob::{BlobStore, Hasher, UploadFile, UploadId};
use crate::meta::{Actor, now};
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::precondition::Precondition;
use crate::registry::error::Error;
use crate::registry::facades::Uploads;
use crate::registry::upload::ingest::HashedFile;

/// Way in which an upload arrives.
#[derive(Clone, Copy)]
pub(super) enum Origin<'r> {
    /// A session of several requests; the last one has a condition on the blob.
    Session(&'r Precondition),
    /// A single request with the whole blob.
    Request,
}

impl Uploads<'_> {
    /// Verifies, syncs and publishes a complete upload.
    ///
    /// Returns the file, and with it the lock, in every case: the upload's name must not be touched
    /// before its end is decided.
    pub(super) async fn store(
        self,
        repository: Option<&RepositoryName>,
        id: &UploadId,
        digest: &Digest,
        upload: HashedFile,
        origin: Origin<'_>,
        actor: &Actor,
    ) -> Result<(Arc<UploadFile>, Result<(), Error>), Error> {
        let (file, actual) =
            verify(Arc::clone(&self.registry.blobs), upload, digest.algorithm()).await?;
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

    /// Publishes the file and records the blob, in one transaction.
    ///
    /// Without a repository, nobody sees the blob, and it stays for one hold period.
    pub(super) async fn publish(
        self,
        repository: Option<&RepositoryName>,
        id: &UploadId,
        digest: &Digest,
        file: &Arc<UploadFile>,
        origin: Origin<'_>,
        actor: &Actor,
    ) -> Result<(), Error> {
        if let Some(repository) = repository {
            self.registry.blobs().note_promise(repository, digest);
        }
        let (repository, digest, session) = (repository.cloned(), digest.clone(), id.clone());
        let (blobs, file) = (Arc::clone(&self.registry.blobs), Arc::clone(file));
        let quota = repository.as_ref().and_then(|name| {
            let settings = self.registry.settings();
            settings.quotas.of(name.as_str())
        });
        let condition = match origin {
            Origin::Session(condition) => Some(condition.clone()),
            Origin::Request => None,
        };
        self.registry
            .write(actor.clone(), move |tx, _| {
                if condition.is_some() && !tx.delete_upload(session.as_str())? {
                    return Err(Error::UploadUnknown(session));
                }
                let now = now();
                let repository = repository
                    .map(|name| tx.ensure_repository(&name, now))
                    .transpose()?;
                if let Some(repository) = repository
                    && let Some(condition) = condition.filter(|condition| !condition.is_absent())
                {
                    let stored = tx.blob_in(repository, &digest)?.map(|_| &digest);
                    condition.check(stored)?;
                }
                if let Some((repository, quota)) = repository.zip(quota) {
                    quota.admit(tx, repository, &digest, file.length())?;
                }
                let known = tx.blob(&digest)?;
                let is_stored = match known {
                    // content that nobody has verified may be damaged: this one is not
                    Some(blob) => blobs.has_blob(&digest, blob.size) && !tx.is_unverified(blob)?,
                    None => false,
                };
                if !is_stored {
                    // a row without a file means manual interference: the verified file repairs it
                    blobs
                        .publish(&session, &file, &digest)
                        .map_err(Error::files("publishing a blob"))?;
                }
                let blob = match known {
                    Some(blob) if is_stored => blob,
                    Some(blob) => tx.replace_blob(blob, file.length(), now)?,
                    None => tx.insert_blob(&digest, file.length(), now)?,
                };
                let kept = match repository {
                    Some(repository) => tx.link_blob(repository, &digest, blob, now),
                    None => tx.renew_blob(blob, now),
                };
                Ok(kept?)
            })
            .await
    }

    /// Removes the upload's own name; its lock, held by `file`, ends only then.
    pub(super) async fn release(self, id: &UploadId, file: Arc<UploadFile>) -> Result<(), Error> {
        self.registry.unsaved_hashes.lock().remove(id);
        let blobs = Arc::clone(&self.registry.blobs);
        let removed = if file.is_published().unwrap_or(false) {
            // no block is freed: that takes less time than to wake a thread
            remove_finished(&blobs, id, &file)
        } else {
            let id = id.clone();
            blocking(move || remove_finished(&blobs, &id, &file)).await?
        };
        if let Err(error) = removed {
            // the blob is safe; recovery removes the remaining name
            tracing::warn!(%error, "cannot remove the file of a finished upload");
        }
        Ok(())
    }

    /// Ends an upload's session, if any, and removes its file.
    ///
    /// The caller holds the lock, as `file`.
    pub(in crate::registry) async fn discard(
        self,
        id: &UploadId,
        file: impl Into<Arc<UploadFile>>,
        actor: Actor,
    ) -> Result<(), Error> {
        let file = file.into();
        self.registry.unsaved_hashes.lock().remove(id);
        let (session, removed, blobs) = (id.clone(), id.clone(), Arc::clone(&self.registry.blobs));
        // the row first: without it nobody creates a new file under the name whose lock is about to
        // end
        let ended = self
            .registry
            .write(actor, move |tx, _| Ok(tx.delete_upload(session.as_str())?))
            .await;
        // removed even if the disk is too full to delete the row
        blocking(move || blobs.discard_upload(&removed))
            .await?
            .map_err(Error::files("removing an upload"))?;
        drop(file);
        ended.map(|_| ())
    }
}

fn remove_finished(blobs: &BlobStore, id: &UploadId, file: &UploadFile) -> std::io::Result<()> {
    blobs.remove_upload(id)?;
    // last, so that until here recovery can open the file after a crash
    file.make_read_only()
}

/// Removes what a failed request added; acknowledged bytes stay.
///
/// The system reports a lost write once, so bytes that could not be synced must be removed: a
/// second sync that succeeds proves nothing.
pub(super) async fn roll_back(file: impl Into<Arc<UploadFile>>, start: u64) -> Result<(), Error> {
    let file = file.into();
    if let Err(error) = blocking(move || file.truncate(start)).await? {
        tracing::warn!(%error, "cannot cut off what a failed request left of an upload");
    }
    Ok(())
}

/// Syncs the file, then returns the digest of its whole content.
async fn verify(
    blobs: Arc<BlobStore>,
    upload: HashedFile,
    algorithm: Algorithm,
) -> Result<(UploadFile, std::io::Result<Digest>), Error> {
    let HashedFile { file, hasher } = upload;
    let work = move || {
        let synced = blobs.sync_upload(&file);
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
