//! Blobs pushed in a single request, without a session.

use std::sync::Arc;

use crate::blob::{Hasher, UploadId};
use crate::meta::Actor;
use crate::oci::{Digest, RepositoryName};
use crate::registry::error::Error;
use crate::registry::slices::Blobs;
use crate::registry::upload::ingest::{BodyStream, HashedFile, IngestError};
use crate::registry::upload::publish::Origin;

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
