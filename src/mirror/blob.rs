//! Blobs of mirrors.

use futures_util::TryStreamExt;

use super::error::Error;
use super::mirrors::{Mirrored, Mirrors};
use crate::oci::{Digest, RepositoryName};
use crate::registry::{self, BodyError, ImportPiece, Part, Registry};

/// Maximum size of a blob whose size the upstream does not say, in bytes.
const LARGEST: u64 = 1 << 30;

impl Mirrors {
    /// Brings a blob of a mirror here, once for all who wait for it. Other repositories are left alone.
    ///
    /// An upstream without it is no error: the registry tells the client.
    ///
    /// # Errors
    /// Failures of the upstream, and [`Error::Altered`].
    pub async fn bring_blob(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), Error> {
        let Some((mirror, mirrored)) = self.mirrored(registry, name).await? else {
            return Ok(());
        };
        if !matches!(
            registry.blobs().find(name, digest).await,
            Err(registry::Error::BlobUnknown { .. } | registry::Error::BlobDamaged { .. })
        ) {
            return Ok(());
        }
        let (key, digest) = (format!("blob {name}@{digest}"), digest.clone());
        let work = async move { mirrored.bring(&digest).await };
        match mirror.flights.join(key, work).await {
            Err(error) if error.is_absence() => Ok(()),
            outcome => outcome,
        }
    }
}

impl Mirrored {
    /// Fetches a blob, unless it is stored here, and makes it visible in the repository.
    ///
    /// The upstream is asked in either case: what it does not have must not become visible here by its digest.
    async fn bring(&self, digest: &Digest) -> Result<(), Error> {
        let blob = self.upstream.blob(&self.source, digest).await?;
        let import = self.registry.import();
        if import.keep(digest).await?.is_none() {
            let size = blob.size();
            let (pieces, failure) = blob.into_stream(size.unwrap_or(LARGEST));
            let body = pieces.map_ok(Part::Bytes).map_err(BodyError::from);
            let size = size.unwrap_or(0);
            let received = import.receive(digest, size, body, self.actor.clone()).await;
            match (received, failure.take()) {
                (Ok(()), _) => {}
                (Err(registry::Error::Body(_)), Some(failure)) => return Err(failure.into()),
                (Err(registry::Error::DigestMismatch { .. }), _) => {
                    return Err(Error::Altered(digest.clone()));
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
        let pieces = vec![ImportPiece::Stored(self.name.clone(), vec![digest.clone()])];
        self.record_pieces(pieces).await
    }
}
