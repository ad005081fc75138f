//! Blobs of mirrors.

use futures_util::TryStreamExt;

use super::brought::{BroughtBlob, KnownBlob};
use super::error::Error;
use super::flights::EarlyAnswer;
use super::mirrors::{Mirrored, Mirrors};
use super::notes::Served;
use crate::oci::{Digest, RepositoryName};
use crate::registry::{
    self, AdoptionItem, BodyError, ImportPiece, Part, Registry, RepositorySource,
};
use crate::upstream::BlobStream;

impl Mirrors {
    /// Begins to bring a blob of a mirror here, once for all who ask for it. Other repositories are left alone.
    ///
    /// Returns once its first bytes may come. An upstream without it is no error: the registry tells the client.
    ///
    /// # Errors
    /// Failures of the upstream, and those to store it.
    pub async fn bring_blob(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<BroughtBlob, Error> {
        let Some((mirror, mirrored)) = self.mirrored(registry, name).await? else {
            return Ok(BroughtBlob::Here);
        };
        if mirrored.has(digest).await || !mirrored.may_come(AdoptionItem::Digest(digest)).await? {
            return Ok(BroughtBlob::Here);
        }
        let (key, digest) = (format!("{name}@{digest}"), digest.clone());
        let work = |early| async move {
            let brought = mirrored.bring(&digest, early).await;
            mirrored.noted(digest.as_str(), Served::Nothing, brought)
        };
        match mirror.blobs.join(&mirror.limits, key, work).await {
            Err(error) if error.is_absence() => Ok(BroughtBlob::Here),
            outcome => outcome,
        }
    }

    /// Asks the upstream about a blob of a mirror, once for all who ask, and fetches nothing of it.
    ///
    /// # Errors
    /// Failures of the upstream.
    pub async fn ask_for_blob(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<KnownBlob, Error> {
        let Some((mirror, mirrored)) = self.mirrored(registry, name).await? else {
            return Ok(KnownBlob::Here);
        };
        if mirrored.has(digest).await || !mirrored.may_come(AdoptionItem::Digest(digest)).await? {
            return Ok(KnownBlob::Here);
        }
        let (key, digest) = (format!("{name}@{digest}"), digest.clone());
        let work = |_| async move {
            let asked = mirrored.upstream.blob_size(&mirrored.source, &digest).await;
            mirrored.noted(digest.as_str(), Served::Nothing, asked.map_err(Error::from))
        };
        match mirror.sizes.join(&mirror.limits, key, work).await {
            Ok(size) => Ok(KnownBlob::Upstream { size }),
            Err(error) if error.is_absence() => Ok(KnownBlob::Here),
            Err(error) => Err(error),
        }
    }
}

impl Mirrored {
    /// Reports whether the repository has a blob; of failures the registry tells the client.
    async fn has(&self, digest: &Digest) -> bool {
        !matches!(
            self.registry.blobs().find(&self.name, digest).await,
            Err(registry::Error::BlobUnknown { .. } | registry::Error::BlobDamaged { .. })
        )
    }

    /// Fetches a blob, unless it is stored here, and makes it visible in the repository.
    ///
    /// The upstream is asked in either case: what it does not have must not become visible here by its digest.
    pub(super) async fn bring(
        &self,
        digest: &Digest,
        early: EarlyAnswer<BroughtBlob>,
    ) -> Result<BroughtBlob, Error> {
        // another flight may have ended meanwhile
        if self.has(digest).await {
            return Ok(BroughtBlob::Here);
        }
        let import = self.registry.import();
        if let Some(stored) = import.keep(digest).await?
            && self.vouches_for(digest, stored).await?
            && self.show(digest).await?
        {
            return Ok(BroughtBlob::Here);
        }
        let mut blob = self.upstream.blob(&self.source, digest).await?;
        if blob.size().is_none() {
            // one that does not say where it ends could fill the disk
            let upstreams = self.registry.upstreams();
            if let Some(size) = upstreams.named_size(&self.name, digest).await? {
                blob = blob.limited(size);
            }
        }
        self.receive(digest, blob, early).await?;
        Ok(BroughtBlob::Here)
    }

    /// Reports whether the upstream has a stored blob. One that no cache of this upstream has it must send: a digest proves nothing.
    ///
    /// # Errors
    /// Failures of the upstream, also that it has no such blob.
    async fn vouches_for(&self, digest: &Digest, stored: u64) -> Result<bool, Error> {
        if let RepositorySource::Upstream(url) = &self.origin
            && !self.registry.upstreams().have_sent(url, digest).await?
        {
            return Ok(false);
        }
        let size = self.upstream.blob_size(&self.source, digest).await?;
        Ok(size.is_none_or(|size| size == stored))
    }

    /// Makes a stored blob visible in the repository; false if it was collected meanwhile.
    async fn show(&self, digest: &Digest) -> Result<bool, Error> {
        let pieces = vec![ImportPiece::Stored(self.name.clone(), vec![digest.clone()])];
        match self.record_pieces(pieces).await {
            Ok(()) => Ok(true),
            Err(Error::Registry(error))
                if matches!(*error, registry::Error::BlobUnknown { .. }) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Stores a blob as it arrives, and lets clients read it meanwhile.
    async fn receive(
        &self,
        digest: &Digest,
        blob: BlobStream,
        early: EarlyAnswer<BroughtBlob>,
    ) -> Result<(), Error> {
        let size = blob.size();
        let blobs = self.registry.blobs();
        let (arrival, growing) = blobs
            .prepare_for(&self.name, digest, size, self.origin.clone())
            .await?;
        // of an empty one no last byte can be held back until it is compared with its digest
        if size != Some(0) {
            early.say(BroughtBlob::Arriving(growing));
        }
        let (pieces, failure) = blob.into_stream();
        let body = pieces.map_ok(Part::Bytes).map_err(BodyError::from);
        let received = arrival.receive(body, self.actor.clone()).await;
        match (received, failure.take()) {
            (Err(registry::Error::Body(_)), Some(failure)) => Err(failure.into()),
            (Err(registry::Error::DigestMismatch { expected, actual }), _) => {
                Err(Error::Altered { expected, actual })
            }
            (received, _) => Ok(received?),
        }
    }
}
