//! Pulling manifests (OCI distribution-spec 1.1, "Pulling manifests").

use std::net::IpAddr;
use std::sync::Arc;

use crate::meta::{self, ManifestUses, StoredManifest, now};
use crate::oci::{Digest, RepositoryName};
use crate::registry::content::pull::counts::Use;
use crate::registry::content::push::manifest_budget::ManifestReservation;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::facades::Manifests;

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
        match found {
            Some(manifest) => Ok(manifest),
            None => Err(self.registry.missing_manifest(repository, reference).await),
        }
    }

    /// Fills `buffer` with the bytes of a manifest from `offset` on.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`] if it was deleted meanwhile.
    pub async fn read_part(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<(), Error> {
        let read = meta::point(|reader| reader.read_manifest(repository, digest, offset, buffer));
        if self.registry.meta.read(read).await? {
            Ok(())
        } else {
            let reference = ManifestReference::Digest(digest.clone());
            Err(manifest_unknown(repository, &reference))
        }
    }

    /// Returns a manifest and promises that it stays for at least half a lease.
    ///
    /// A client may rely on the promise instead of pushing the manifest, or ask for its blobs next.
    pub async fn promise(
        self,
        repository: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<Arc<StoredManifest>, Error> {
        let manifest = self.get(repository, reference).await?;
        let settings = self.registry.settings();
        if manifest.is_released || settings.retention.is_lease_half_over(manifest.idle_since) {
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

    /// Reserves memory for a large manifest that is being received from `client`; takes none of it yet.
    #[must_use]
    pub fn reserve_memory(self, client: Option<IpAddr>) -> ManifestReservation {
        self.registry.manifest_budget.reserve(client)
    }

    /// Counts a pull.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`] if the manifest was evicted a moment ago.
    pub async fn count_pull(
        self,
        repository: &RepositoryName,
        manifest: &StoredManifest,
        reference: &ManifestReference,
    ) -> Result<(), Error> {
        self.count(Use::Pull, repository, manifest, reference).await
    }

    /// Counts a HEAD, or a GET that is answered with "not modified".
    ///
    /// It is no pull, but a use: a client that has the image already asks for no more.
    ///
    /// # Errors
    /// As [`Self::count_pull`].
    pub async fn count_check(
        self,
        repository: &RepositoryName,
        manifest: &StoredManifest,
        reference: &ManifestReference,
    ) -> Result<(), Error> {
        self.count(Use::Check, repository, manifest, reference)
            .await
    }

    async fn count(
        self,
        kind: Use,
        repository: &RepositoryName,
        manifest: &StoredManifest,
        reference: &ManifestReference,
    ) -> Result<(), Error> {
        if !self.registry.uses.count(kind, manifest, reference) {
            return Ok(());
        }
        // changes are made one after the other: the eviction has ended when this one looks
        let (name, digest) = (repository.clone(), manifest.digest.clone());
        let look = self.registry.meta.write(move |tx| {
            let Some(repository) = tx.repository(&name)? else {
                return Ok(false);
            };
            Ok::<_, Error>(tx.manifest(repository, &digest)?.is_some())
        });
        match look.await? {
            true => Ok(()),
            false => Err(manifest_unknown(repository, reference)),
        }
    }

    /// Writes the pulls and checks counted since the last call to the database.
    pub async fn record_uses(self) -> Result<(), Error> {
        let _writing = self.registry.uses.writing.lock().await;
        let outcome = self.write_uses(self.registry.uses.take()).await;
        self.registry.uses.end_writing();
        outcome
    }

    async fn write_uses(self, uses: Vec<ManifestUses>) -> Result<(), Error> {
        for some in uses.chunks(200) {
            let some = some.to_vec();
            self.registry
                .meta
                .write(move |tx| {
                    Ok::<_, Error>(some.iter().try_for_each(|uses| tx.add_uses(uses))?)
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
        needed_by: None,
    }
}
