//! Pulling manifests and blobs (OCI distribution-spec 1.1, "Pull").

use std::sync::Arc;

use crate::blob::BlobContent;
use crate::meta::{LinkRow, StoredManifest, now, point};
use crate::oci::{Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::manifest_budget::ManifestReservation;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::service::Registry;
use crate::registry::slices::{Blobs, Manifests};

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
    pub async fn open(&self) -> Result<BlobContent, Error> {
        let (blobs, wanted) = (Arc::clone(&self.registry.blobs), self.digest.clone());
        match blocking(move || blobs.open_blob(&wanted)).await? {
            Ok(content) => Ok(content),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let link = self
                    .registry
                    .blobs()
                    .link(self.repository, self.digest)
                    .await?;
                if link.is_some() {
                    tracing::error!(digest = %self.digest, "blob file is missing; push the blob again to repair it");
                }
                Err(blob_unknown(self.repository, self.digest))
            }
            Err(error) => Err(Error::files("opening a blob")(error)),
        }
    }
}

impl Manifests<'_> {
    /// Returns the manifest with this tag or digest.
    pub async fn get(
        self,
        repository: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<Arc<StoredManifest>, Error> {
        let found = match reference {
            ManifestReference::Tag(tag) => {
                self.registry.meta.manifest_by_tag(repository, tag).await?
            }
            ManifestReference::Digest(digest) => {
                self.registry
                    .meta
                    .manifest_by_digest(repository, digest)
                    .await?
            }
        };
        found.ok_or_else(|| manifest_unknown(repository, reference))
    }

    /// Returns a manifest and promises that it stays for at least half a lease.
    ///
    /// A client may rely on the promise instead of pushing the manifest.
    pub async fn promise(
        self,
        repository: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<Arc<StoredManifest>, Error> {
        let manifest = self.get(repository, reference).await?;
        if self
            .registry
            .settings()
            .retention
            .is_lease_half_over(manifest.idle_since)
        {
            let (name, digest) = (repository.clone(), manifest.digest.clone());
            let renew = self.registry.meta.write(move |tx| {
                // looked up again: the row number may have been reused
                let Some(repository) = tx.repository(&name)? else {
                    return Ok(false);
                };
                let Some(manifest) = tx.manifest(repository, &digest)? else {
                    return Ok(false);
                };
                Ok::<_, Error>(tx.renew_manifest(manifest, now())?)
            });
            if !renew.await? {
                return Err(manifest_unknown(repository, reference));
            }
        }
        Ok(manifest)
    }

    /// Reserves memory for a large manifest that is being received; takes none of it yet.
    #[must_use]
    pub fn reserve_memory(self) -> ManifestReservation {
        self.registry.manifest_budget.reserve()
    }

    /// Counts a pull.
    ///
    /// HEAD requests and "not modified" responses do not count.
    pub fn count_pull(self, manifest: &StoredManifest, reference: &ManifestReference) {
        self.registry.pulls.count(manifest, reference);
    }

    /// Writes the pulls counted since the last call to the database.
    pub async fn record_pulls(self) -> Result<(), Error> {
        for some in self.registry.pulls.take().chunks(200) {
            let some = some.to_vec();
            self.registry
                .meta
                .write(move |tx| {
                    Ok::<_, Error>(some.iter().try_for_each(|pulls| tx.add_pulls(pulls))?)
                })
                .await?;
        }
        Ok(())
    }
}

impl Blobs<'_> {
    /// Finds a blob of the repository, and promises that it stays for at least half a lease.
    ///
    /// A client may rely on the promise instead of pushing the blob.
    pub async fn find<'a>(
        self,
        repository: &'a RepositoryName,
        digest: &'a Digest,
    ) -> Result<FoundBlob<'a>, Error>
    where
        Self: 'a,
    {
        let unknown = || blob_unknown(repository, digest);
        let link = self.link(repository, digest).await?.ok_or_else(unknown)?;
        if !self.promise_link(repository, digest, &link).await? {
            return Err(unknown());
        }
        Ok(FoundBlob {
            registry: self.registry,
            repository,
            digest,
            size: link.blob.size,
        })
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

    /// Renews the lease of an unreferenced link once half of it is over; reports whether the link
    /// still exists.
    ///
    /// Ordinary requests thus write nothing.
    pub(in crate::registry) async fn promise_link(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        link: &LinkRow,
    ) -> Result<bool, Error> {
        if !self
            .registry
            .settings()
            .retention
            .is_lease_half_over(link.idle_since)
        {
            return Ok(true);
        }
        let (repository, digest) = (repository.clone(), digest.clone());
        self.registry
            .meta
            .write(move |tx| Ok(tx.renew_link(&repository, &digest, now())?))
            .await
    }
}

pub(in crate::registry) fn manifest_unknown(
    repository: &RepositoryName,
    reference: &ManifestReference,
) -> Error {
    let reference = match reference {
        ManifestReference::Tag(tag) => tag.to_string(),
        ManifestReference::Digest(digest) => digest.to_string(),
    };
    Error::ManifestUnknown {
        repository: repository.clone(),
        reference,
    }
}

pub(in crate::registry) fn blob_unknown(repository: &RepositoryName, digest: &Digest) -> Error {
    Error::BlobUnknown {
        repository: repository.clone(),
        digest: digest.clone(),
    }
}
