//! Blobs that come from another registry, and are read while they arrive.

use std::sync::Arc;

use crate::blob::{GrowingBlob, Hasher, UploadFile, UploadId};
use crate::meta::{Actor, RepositorySource};
use crate::oci::{Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Blobs;
use crate::registry::service::Registry;
use crate::registry::upload::body::BodyStream;
use crate::registry::upload::hashed_file::HashedFile;
use crate::registry::upload::ingest::IngestError;
use crate::registry::upload::meter::{Meter, Metered};
use crate::registry::upload::publish::Origin;

/// A blob of another registry that is about to arrive.
pub struct Arrival {
    registry: Registry,
    repository: RepositoryName,
    digest: Digest,
    /// Bytes for which its quota has room.
    announced: u64,
    source: RepositorySource,
    meter: Option<Arc<Meter>>,
    id: UploadId,
    file: UploadFile,
}

impl Blobs<'_> {
    /// Prepares for a blob of another registry, of a size if that is known; it can be read while it arrives.
    ///
    /// # Errors
    /// [`Error::Reserve`], [`Error::StorageFull`] and [`Error::QuotaExceeded`] if it does not fit.
    pub async fn prepare_for(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        size: Option<u64>,
        source: RepositorySource,
    ) -> Result<(Arrival, GrowingBlob), Error> {
        let registry = self.registry;
        registry.check_disk_space(size.unwrap_or(0))?;
        let announced = size.unwrap_or(1);
        let quotas = registry.quotas();
        let meter = quotas.meter(repository, Some(digest), announced).await?;
        let id = UploadId::random();
        let mut file = registry.uploads().open_file(&id).await?;
        let growing = match registry.blobs.share_upload(&id, &mut file, size) {
            Ok(growing) => growing,
            Err(error) => {
                registry
                    .uploads()
                    .discard(&id, file, Actor::default())
                    .await?;
                return Err(Error::files("opening an upload")(error));
            }
        };
        let arrival = Arrival {
            registry: registry.clone(),
            repository: repository.clone(),
            digest: digest.clone(),
            announced,
            source,
            meter,
            id,
            file,
        };
        Ok((arrival, growing))
    }
}

impl Arrival {
    /// Stores the blob, and makes it visible in its repository.
    ///
    /// # Errors
    /// As for a pushed blob; nothing of it remains.
    pub async fn receive(self, body: impl BodyStream, actor: Actor) -> Result<(), Error> {
        let uploads = self.registry.uploads();
        let upload = HashedFile::new(self.file, Hasher::new(self.digest.algorithm()));
        let body = Metered::new(body, self.meter.clone(), self.announced);
        let received = match uploads.ingest(upload, body).await {
            Ok(upload) => write_end(upload, self.digest.clone()).await,
            failed => failed,
        };
        let (repository, digest) = (Some(&self.repository), Some(&self.digest));
        let stored = uploads
            .store_received(
                repository,
                &self.id,
                digest,
                received,
                Origin::Upstream(&self.source),
                actor,
            )
            .await;
        match self.meter.and_then(|meter| meter.refusal()) {
            Some(refusal) => Err(refusal),
            None => stored.map(drop),
        }
    }
}

/// Writes the end of a blob, and lets those who read it have its last byte if its digest is right.
///
/// They need not wait until it is on disk.
async fn write_end(upload: HashedFile, digest: Digest) -> Result<HashedFile, IngestError> {
    let work = move || {
        let (upload, written) = upload.write();
        let is_right = written.is_ok() && upload.hasher.clone().finish() == digest;
        if is_right {
            upload.file.complete_growth();
        }
        (upload, written)
    };
    let done = blocking(work).await;
    let (upload, written) = done.map_err(|error| IngestError::Broken(None, error))?;
    match written {
        Ok(()) => Ok(upload),
        Err(error) => {
            let error = Error::files("writing an upload")(error);
            Err(IngestError::Broken(Some(Box::new(upload.file)), error))
        }
    }
}
