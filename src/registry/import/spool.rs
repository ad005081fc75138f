//! Content that comes through a stream before it is known which repository it belongs to.
//!
//! It is stored as a blob that no repository shows. A hold period later it is collected, unless a repository got it.

use std::io::ErrorKind;
use std::sync::Arc;

use crate::blob::{Hasher, UploadId};
use crate::meta::{Actor, now};
use crate::oci::{Algorithm, Digest};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::upload::body::BodyStream;
use crate::registry::upload::hashed_file::HashedFile;
use crate::registry::upload::publish::Origin;

impl Import<'_> {
    /// Stores content of a size, whatever its digest is.
    ///
    /// # Errors
    /// [`Error::Body`] if the stream breaks off; nothing of it remains.
    pub async fn spool(
        self,
        algorithm: Algorithm,
        size: u64,
        body: impl BodyStream,
        actor: Actor,
    ) -> Result<Digest, Error> {
        self.registry.check_disk_space(size)?;
        let id = UploadId::random();
        let file = self.registry.uploads().open_file(&id).await?;
        let upload = HashedFile::new(file, Hasher::new(algorithm));
        let received = self.registry.uploads().ingest(upload, body).await;
        self.registry
            .uploads()
            .store_received(None, &id, None, received, Origin::Request, actor)
            .await
    }

    /// Stores content of a known digest, and of at most this size as far as the disk's reserve is concerned.
    ///
    /// # Errors
    /// [`Error::Body`] if the stream breaks off, and [`Error::DigestMismatch`]; nothing of it remains.
    pub async fn receive(
        self,
        digest: &Digest,
        size: u64,
        body: impl BodyStream,
        actor: Actor,
    ) -> Result<(), Error> {
        self.registry.check_disk_space(size)?;
        let id = UploadId::random();
        let file = self.registry.uploads().open_file(&id).await?;
        let upload = HashedFile::new(file, Hasher::new(digest.algorithm()));
        let received = self.registry.uploads().ingest(upload, body).await;
        let stored = self.registry.uploads().store_received(
            None,
            &id,
            Some(digest),
            received,
            Origin::Request,
            actor,
        );
        stored.await.map(|_| ())
    }

    /// Returns the size of a stored blob that is what its digest says, and renews its lease; `None` if there is none.
    pub async fn keep(self, digest: &Digest) -> Result<Option<u64>, Error> {
        let (digest, blobs) = (digest.clone(), Arc::clone(&self.registry.blobs));
        self.registry
            .meta
            .write_lazily(move |tx| match tx.blob(&digest)? {
                Some(blob) if blobs.has_blob(&digest, blob.size) && !tx.is_unverified(blob)? => {
                    tx.renew_blob(blob, now())?;
                    Ok(Some(blob.size))
                }
                _ => Ok(None),
            })
            .await
    }

    /// Like [`Self::keep`], without any change.
    pub async fn stored_size(self, digest: &Digest) -> Result<Option<u64>, Error> {
        let (digest, blobs) = (digest.clone(), Arc::clone(&self.registry.blobs));
        self.registry
            .scan(move |reader| match reader.blob(&digest)? {
                Some(blob)
                    if blobs.has_blob(&digest, blob.size) && !reader.is_unverified(blob)? =>
                {
                    Ok(Some(blob.size))
                }
                _ => Ok(None),
            })
            .await
    }

    /// Returns the bytes of a manifest, whichever repository has it; `None` if none has.
    pub async fn manifest_anywhere(self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        let digest = digest.clone();
        self.registry
            .scan(move |reader| reader.manifest_anywhere(&digest))
            .await
    }

    /// Reads at most `limit` bytes of a stored blob; `None` if there is none.
    pub async fn read_stored(self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let (digest, blobs) = (digest.clone(), Arc::clone(&self.registry.blobs));
        match blocking(move || blobs.read_blob(&digest, limit)).await? {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(Error::files("reading a blob")),
        }
    }
}
