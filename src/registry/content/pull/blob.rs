//! Pulling blobs (OCI distribution-spec 1.1, "Pulling blobs").

use std::sync::Arc;

use crate::blob::BlobFile;
use crate::events::EventKind;
use crate::meta::{Actor, LinkRow, millis, now, point};
use crate::oci::{Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::blob_events::blob_target;
use crate::registry::error::Error;
use crate::registry::facades::Blobs;
use crate::registry::outbox::notes::NotedEvent;
use crate::registry::service::Registry;

/// A blob of a repository; not yet opened.
pub struct FoundBlob<'a> {
    registry: &'a Registry,
    repository: &'a RepositoryName,
    digest: &'a Digest,
    /// Size in bytes.
    pub size: u64,
}

impl FoundBlob<'_> {
    /// Opens the blob for reading.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] if it was removed meanwhile or its file is missing, and file system
    /// errors.
    pub async fn open(&self) -> Result<BlobFile, Error> {
        let (blobs, wanted) = (Arc::clone(&self.registry.blobs), self.digest.clone());
        match blocking(move || blobs.open_blob(&wanted)).await? {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.registry
                    .blobs()
                    .is_intact(self.repository, self.digest, self.size)
                    .await?;
                let blobs = self.registry.blobs();
                Err(blobs.lost(self.repository, self.digest).await?)
            }
            Err(error) => Err(Error::files("opening a blob")(error)),
        }
    }
}

impl Blobs<'_> {
    /// Finds a blob of the repository, and promises that it stays for at least half a lease.
    ///
    /// A client may rely on the promise instead of pushing the blob. One whose file is lost is absent,
    /// so that it is pushed again.
    pub async fn find<'a>(
        self,
        repository: &'a RepositoryName,
        digest: &'a Digest,
    ) -> Result<FoundBlob<'a>, Error>
    where
        Self: 'a,
    {
        let Some(link) = self.link(repository, digest).await? else {
            return Err(self.registry.missing_blob(repository, digest).await);
        };
        if !self.promise_link(repository, digest, &link).await? {
            return Err(blob_unknown(repository, digest));
        }
        let size = link.blob.size;
        if !self.is_intact(repository, digest, size).await? {
            return Err(self.lost(repository, digest).await?);
        }
        Ok(FoundBlob {
            registry: self.registry,
            repository,
            digest,
            size,
        })
    }

    /// Returns the error for a blob whose file was found lost: unknown, if the blob is gone by now.
    async fn lost(self, repository: &RepositoryName, digest: &Digest) -> Result<Error, Error> {
        let Some(link) = self.link(repository, digest).await? else {
            return Ok(blob_unknown(repository, digest));
        };
        let problem = "its file is missing, has another length or cannot be opened";
        let outbox = self.registry.outbox();
        if outbox.is_listened(EventKind::DamageFound) && self.registry.damage_log.may_name(digest) {
            outbox.note(NotedEvent {
                target: Some(blob_target(digest, link.blob.size)),
                detail: Some(problem.to_owned()),
                ..NotedEvent::about(EventKind::DamageFound, repository, Actor::default())
            });
        }
        Ok(Error::BlobDamaged {
            repository: repository.clone(),
            digest: digest.clone(),
            problem: problem.to_owned(),
        })
    }

    /// Like [`Self::find`], for a client that is told of the blob so that it need not push it.
    pub async fn promise<'a>(
        self,
        repository: &'a RepositoryName,
        digest: &'a Digest,
    ) -> Result<FoundBlob<'a>, Error>
    where
        Self: 'a,
    {
        self.note_promise(repository, digest);
        let found = self.find(repository, digest).await;
        if found.is_err() {
            let promises = &self.registry.promises;
            promises.fulfil(repository, std::iter::once(digest));
        }
        found
    }

    /// Notes that a push counts on a blob; call it before looking whether it is there.
    pub(in crate::registry) fn note_promise(self, repository: &RepositoryName, digest: &Digest) {
        let lifetime = millis(self.registry.settings().retention.lease) / 2;
        self.registry.promises.note(repository, digest, lifetime);
    }

    /// Returns the link between the repository and the blob, if there is one.
    pub(in crate::registry) async fn link(
        self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkRow>, Error> {
        let link = point(|reader| reader.link(repository, digest));
        Ok(self.registry.meta.read(link).await?)
    }

    /// Reports whether the file of a blob that a repository links to can be opened and has its
    /// length. Logs it if not.
    pub(in crate::registry) async fn is_intact(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
    ) -> Result<bool, Error> {
        if !self.registry.blobs.is_lost(digest, size) {
            self.registry.lost_blobs.forget(digest);
            return Ok(true);
        }
        // a sweep may have removed it since the link was read
        if self.link(repository, digest).await?.is_some() {
            let Ok(Some(fault)) = self.registry.blobs.fault_of(digest, size) else {
                return Ok(true);
            };
            let (lost, digest) = (Arc::clone(&self.registry.lost_blobs), digest.clone());
            self.registry
                .scan(move |meta| lost.report(meta, &digest, &fault))
                .await?;
        }
        Ok(false)
    }

    /// Renews the lease of an unreferenced link once half of it is over; reports whether the link
    /// still exists.
    ///
    /// Ordinary requests thus write nothing. The first one after a deletion does, so that the blob does not count as
    /// deleted any more.
    pub(in crate::registry) async fn promise_link(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        link: &LinkRow,
    ) -> Result<bool, Error> {
        let settings = self.registry.settings();
        if !link.is_released && !settings.retention.is_lease_half_over(link.idle_since) {
            return Ok(true);
        }
        let (repository, digest) = (repository.clone(), digest.clone());
        self.registry
            .meta
            .write(move |tx| Ok(tx.renew_link(&repository, &digest, now())?))
            .await
    }
}

pub(in crate::registry) fn blob_unknown(repository: &RepositoryName, digest: &Digest) -> Error {
    Error::BlobUnknown {
        repository: repository.clone(),
        digest: digest.clone(),
        needed_by: None,
    }
}
