//! Changes of a repository whose registry is being adopted: what they are about comes first.

use super::error::Error;
use super::mirrors::Mirrors;
use crate::oci::{Digest, RepositoryName};
use crate::registry::{AdoptionItem, ManifestReference, Registry};

impl Mirrors {
    /// Brings a manifest that is to be deleted, so that it is known as deleted.
    ///
    /// # Errors
    /// Failures of the upstream, and those to store it.
    pub async fn bring_to_delete(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<(), Error> {
        if self.adopt(name) {
            self.bring_manifest(registry, name, reference).await?;
        }
        Ok(())
    }

    /// Brings parts that a pushed manifest names, of which the client was told that they are here; returns how many came.
    ///
    /// # Errors
    /// Failures of the upstream, and those to store them.
    pub async fn bring_parts(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        parts: &[Digest],
    ) -> Result<usize, Error> {
        let mut brought = 0;
        for digest in parts {
            let Some((mirror, mirrored)) = self.mirrored(registry, name).await? else {
                return Ok(brought);
            };
            if !mirrored.is_adopted() || !mirrored.may_come(AdoptionItem::Digest(digest)).await? {
                continue;
            }
            let (key, part) = (format!("{name}@{digest}"), digest.clone());
            let work = |early| async move { mirrored.bring(&part, early).await };
            match mirror.blobs.join_to_end(&mirror.limits, key, work).await {
                Ok(_) => brought += 1,
                Err(error) if error.is_absence() => {
                    brought += self.bring_child(registry, name, digest).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(brought)
    }

    /// Brings a manifest that an index names; returns how many came.
    async fn bring_child(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<usize, Error> {
        let reference = ManifestReference::Digest(digest.clone());
        self.bring_manifest(registry, name, &reference).await?;
        let here = registry.manifests().get(name, &reference).await;
        Ok(usize::from(here.is_ok()))
    }
}
