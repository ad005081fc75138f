//! Publication of a complete upload as a blob, and removal of uploads.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::blob::{BlobStore, Hasher, UploadFile, UploadId};
use crate::events::EventKind;
use crate::meta::{self, Actor, RepositorySource, WriteTx, now};
use crate::oci::{Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::blob_events::blob_subject;
use crate::registry::content::precondition::Precondition;
use crate::registry::error::Error;
use crate::registry::facades::Uploads;
use crate::registry::policy::quota::QuotaLimit;
use crate::registry::service::Registry;
use crate::registry::upload::hashed_file::HashedFile;
use crate::threads;

/// Way in which an upload arrives.
#[derive(Clone, Copy)]
pub(in crate::registry) enum Origin<'r> {
    /// A session of several requests; the last one has a condition on the blob.
    Session(&'r Precondition),
    /// A single request with the whole blob.
    Request,
    /// Another registry.
    Upstream(&'r RepositorySource),
}

/// A verified upload that becomes a blob.
struct Publication {
    blobs: Arc<BlobStore>,
    /// Without one, nobody sees the blob, and it stays for one hold period.
    repository: Option<RepositoryName>,
    source: RepositorySource,
    id: UploadId,
    digest: Digest,
    /// Condition of the session that it ends, if it had one.
    condition: Option<Precondition>,
    quota: Option<QuotaLimit>,
    /// Event that is told of it.
    event: Option<EventKind>,
}

impl Publication {
    /// Publishes the file and records the blob, in one transaction.
    fn record(self, tx: &WriteTx<'_>, file: &UploadFile, actor: &Actor) -> Result<(), Error> {
        let now = now();
        if self.condition.is_some() && !tx.delete_upload(self.id.as_str())? {
            return Err(Error::UploadUnknown(self.id));
        }
        let repository = self
            .repository
            .map(|name| {
                let found = tx.repository_for(&name, &self.source, now)?;
                found.ok_or(Error::NoCache(name))
            })
            .transpose()?;
        if let Some(repository) = repository
            && let Some(condition) = self.condition.filter(|condition| !condition.is_absent())
        {
            let stored = tx.blob_in(repository, &self.digest)?.map(|_| &self.digest);
            condition.check(stored)?;
        }
        if let Some((repository, quota)) = repository.zip(self.quota) {
            quota.admit(tx, repository, &self.digest, file.length())?;
        }
        let known = tx.blob(&self.digest)?;
        let is_stored = match known {
            // content that nobody has verified may be damaged: this one is not
            Some(blob) => {
                self.blobs.has_blob(&self.digest, blob.size) && !tx.is_unverified(blob)?
            }
            None => false,
        };
        if !is_stored {
            // a row without a file means manual interference: the verified file repairs it
            self.blobs
                .publish(&self.id, file, &self.digest)
                .map_err(Error::files("publishing a blob"))?;
        }
        let blob = match known {
            Some(blob) if is_stored => blob,
            Some(blob) => tx.replace_blob(blob, file.length(), now)?,
            None => tx.insert_blob(&self.digest, file.length(), now)?,
        };
        match repository {
            Some(repository) => {
                tx.link_blob(repository, &self.digest, blob, now)?;
                if let Some(event) = self.event {
                    let subject = blob_subject(repository, &self.digest, file.length());
                    tx.tell(event, actor, now, || Ok(subject))?;
                }
            }
            None => tx.renew_blob(blob, now)?,
        }
        Ok(())
    }
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
        let publication = Publication {
            blobs: Arc::clone(&self.registry.blobs),
            repository: repository.cloned(),
            id: id.clone(),
            digest: digest.clone(),
            source: match origin {
                Origin::Upstream(source) => source.clone(),
                Origin::Session(_) | Origin::Request => RepositorySource::Own,
            },
            condition: match origin {
                Origin::Session(condition) => Some(condition.clone()),
                Origin::Request | Origin::Upstream(_) => None,
            },
            event: match origin {
                Origin::Session(_) | Origin::Request => Some(EventKind::BlobPushed),
                Origin::Upstream(_) => None,
            },
            quota: repository.and_then(|name| self.registry.settings().quotas.of(name.as_str())),
        };
        let (registry, actor) = (self.registry.clone(), actor.clone());
        let (reply, outcome) = oneshot::channel();
        // the thread queues the change itself: the writer's answer is the only one to wait for
        let work = threads::blocking::start(move || {
            let (file, verified) = verify(&registry, upload, &publication.digest);
            let file = Arc::new(file);
            match verified {
                Ok(()) => {
                    if let Some(repository) = &publication.repository
                        && publication.event.is_some()
                    {
                        let digest = &publication.digest;
                        registry.blobs().note_promise(repository, digest);
                    }
                    let published = Arc::clone(&file);
                    let change = move |tx: &WriteTx<'_>, actor: &Actor| {
                        publication.record(tx, &published, actor)
                    };
                    registry.queue_write(actor, change, reply);
                }
                // an error: the client is gone
                Err(error) => drop(reply.send(Err(error))),
            }
            file
        });
        let stored = outcome.await;
        let file = work
            .await
            .map_err(|error| Error::Internal(error.to_string()))?;
        let stored = stored.unwrap_or_else(|_| Err(meta::Error::Stopped.into()));
        let stored = match stored {
            Err(error) => Err(self.registry.name_shortage(error).await),
            Ok(()) => Ok(()),
        };
        Ok((file, stored))
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

/// Writes what is left, syncs the file, then compares its digest. Blocks.
fn verify(
    registry: &Registry,
    upload: HashedFile,
    expected: &Digest,
) -> (UploadFile, Result<(), Error>) {
    let (file, hasher, synced) = upload.sync(&registry.blobs);
    let hashed = synced.and_then(|()| {
        if hasher.algorithm() == expected.algorithm() {
            Ok(hasher)
        } else {
            file.rehash(expected.algorithm())
        }
    });
    let verified = match hashed.map(Hasher::finish) {
        Ok(actual) if actual == *expected => Ok(()),
        Ok(actual) => Err(Error::DigestMismatch {
            expected: expected.clone(),
            actual,
        }),
        Err(error) => Err(Error::files("syncing an upload")(error)),
    };
    (file, verified)
}
