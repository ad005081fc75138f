//! Pulling manifests and blobs (OCI distribution-spec 1.1, "Pull").

use std::fs::File;
use std::sync::Arc;

use crate::meta::{LinkRow, StoredManifest, now, point};
use crate::oci::{Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::service::Registry;

/// A blob, open for reading.
#[derive(Debug)]
pub struct OpenBlob {
    pub file: File,
    /// In bytes.
    pub size: u64,
}

impl Registry {
    /// The manifest that a tag points at, or that has that digest.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<Arc<StoredManifest>, Error> {
        let found = match reference {
            ManifestReference::Tag(tag) => self.meta.manifest_by_tag(repository, tag).await?,
            ManifestReference::Digest(digest) => {
                self.meta.manifest_by_digest(repository, digest).await?
            }
        };
        found.ok_or_else(|| manifest_unknown(repository, reference))
    }

    /// As [`Self::manifest`], and a promise that it stays for at least half a lease, which a client may rely on instead of
    /// pushing it.
    pub async fn promise_manifest(
        &self,
        repository: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<Arc<StoredManifest>, Error> {
        let manifest = self.manifest(repository, reference).await?;
        if self.settings().retention.is_half_over(manifest.idle_since) {
            let (name, digest) = (repository.clone(), manifest.digest.clone());
            let renew = self.meta.write(move |tx| {
                // looked up again: its number may have been given to another one since
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

    /// The size of a blob that the repository shows, in bytes, and a promise that it stays for at least half a lease, which
    /// a client may rely on instead of pushing it.
    pub async fn promise_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<u64, Error> {
        let link = self
            .link(repository, digest)
            .await?
            .ok_or_else(|| blob_unknown(repository, digest))?;
        if self.promise_link(repository, digest, &link).await? {
            Ok(link.blob.size)
        } else {
            Err(blob_unknown(repository, digest))
        }
    }

    /// The blob, if the repository shows it.
    pub(in crate::registry) async fn link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkRow>, Error> {
        let link = point(|reader| reader.link(repository, digest));
        Ok(self.meta.read(link).await?)
    }

    /// Renews the lease of a link that nothing holds once half of it is over, so that ordinary requests write nothing; says
    /// whether the link is still there.
    pub(in crate::registry) async fn promise_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        link: &LinkRow,
    ) -> Result<bool, Error> {
        if !self.settings().retention.is_half_over(link.idle_since) {
            return Ok(true);
        }
        let (repository, digest) = (repository.clone(), digest.clone());
        self.meta
            .write(move |tx| Ok(tx.renew_link(&repository, &digest, now())?))
            .await
    }

    /// Opens a blob that the repository shows.
    pub async fn open_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<OpenBlob, Error> {
        let size = self
            .link(repository, digest)
            .await?
            .ok_or_else(|| blob_unknown(repository, digest))?
            .blob
            .size;
        let (blobs, wanted) = (Arc::clone(&self.blobs), digest.clone());
        match blocking(move || blobs.open_blob(&wanted)).await? {
            Ok(file) => Ok(OpenBlob { file, size }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                tracing::error!(%digest, "the file of a recorded blob is missing; pushing the blob again mends it");
                Err(blob_unknown(repository, digest))
            }
            Err(error) => Err(Error::files("opening a blob")(error)),
        }
    }

    /// Counts a pull. HEAD is none, and neither is being told that nothing has changed.
    pub fn count_pull(&self, manifest: &StoredManifest, reference: &ManifestReference) {
        self.pulls.count(manifest, reference);
    }

    /// Records what was counted since the last time.
    pub async fn record_pulls(&self) -> Result<(), Error> {
        for some in self.pulls.take().chunks(200) {
            let some = some.to_vec();
            self.meta
                .write(move |tx| {
                    Ok::<_, Error>(some.iter().try_for_each(|pulls| tx.add_pulls(pulls))?)
                })
                .await?;
        }
        Ok(())
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
