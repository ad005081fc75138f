//! Blobs pushed in a single request, without a session.

use std::sync::Arc;

use crate::blob::{Hasher, UploadId};
use crate::meta::Actor;
use crate::oci::{Digest, RepositoryName};
use crate::registry::error::Error;
use crate::registry::facades::{Blobs, Uploads};
use crate::registry::upload::body::BodyStream;
use crate::registry::upload::hashed_file::HashedFile;
use crate::registry::upload::ingest::IngestError;
use crate::registry::upload::meter::Metered;
use crate::registry::upload::publish::Origin;

impl Blobs<'_> {
    /// Stores a blob that arrives in a single request, without a session.
    ///
    /// `length` is that of the body, if its headers say so.
    ///
    /// # Errors
    /// [`Error::Body`] if the body breaks off, [`Error::DigestMismatch`] if the content has another
    /// digest, [`Error::QuotaExceeded`] if it does not fit; nothing of it remains.
    pub async fn push(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        length: Option<u64>,
        body: impl BodyStream,
        actor: Actor,
    ) -> Result<(), Error> {
        self.registry.check_disk_space(0)?;
        let (quotas, announced) = (self.registry.quotas(), length.unwrap_or(1));
        let meter = quotas.meter(repository, Some(digest), announced).await?;
        let id = UploadId::random();
        let file = self.registry.uploads().open_file(&id).await?;
        let upload = HashedFile::new(file, Hasher::new(digest.algorithm()));
        let body = Metered::new(body, meter.clone(), announced);
        let received = self.registry.uploads().ingest(upload, body).await;
        let stored = self
            .registry
            .uploads()
            .store_received(
                Some(repository),
                &id,
                Some(digest),
                received,
                Origin::Request,
                actor,
            )
            .await;
        match meter.and_then(|meter| meter.refusal()) {
            Some(refusal) => Err(refusal),
            None => stored.map(drop),
        }
    }
}

impl Uploads<'_> {
    /// Stores a blob that has arrived as a whole, or removes what has arrived of it; returns its digest.
    ///
    /// Without an expected digest, its content has the right one.
    ///
    /// # Errors
    /// As [`Blobs::push`].
    pub(in crate::registry) async fn store_received(
        self,
        repository: Option<&RepositoryName>,
        id: &UploadId,
        expected: Option<&Digest>,
        received: Result<HashedFile, IngestError>,
        origin: Origin<'_>,
        actor: Actor,
    ) -> Result<Digest, Error> {
        let (file, stored) = match received {
            Ok(upload) => {
                let digest = match expected {
                    Some(digest) => digest.clone(),
                    None => upload.hasher.clone().finish(),
                };
                let (file, stored) = self
                    .store(repository, id, &digest, upload, origin, &actor)
                    .await?;
                (file, stored.map(|()| digest))
            }
            Err(IngestError::Body(upload, error)) => (Arc::new(upload.file), Err(error)),
            Err(IngestError::Broken(Some(file), error)) => (Arc::from(file), Err(error)),
            Err(IngestError::Broken(None, error)) => return Err(error),
        };
        match stored {
            Ok(_) => self.release(id, file).await?,
            Err(_) => self.discard(id, file, actor).await?,
        }
        stored
    }
}
