//! Damaged content of images, which is not served until it is pushed again.

use crate::meta::{Damaged, Quarantined};
use crate::oci::{Digest, RepositoryName};
use crate::registry::error::Error;
use crate::registry::facades::Reports;

/// Maximum number of damaged pieces of one image that are listed.
pub(super) const MAX_PIECES: usize = 100;

impl Reports<'_> {
    /// Reports whether anything is not served because it is damaged.
    pub async fn has_damage(self) -> Result<bool, Error> {
        let counts = self.registry.scan(|meta| meta.quarantined()).await?;
        Ok(counts != Quarantined::default())
    }

    /// Reports whether any repository is a cache of an upstream.
    pub async fn has_caches(self) -> Result<bool, Error> {
        self.registry.scan(|meta| meta.has_caches()).await
    }

    /// Lists what of an image is not served: its manifest, its children, and their blobs.
    pub async fn damage_within(
        self,
        repository: &RepositoryName,
        manifest: &Digest,
    ) -> Result<Vec<Damaged>, Error> {
        let (repository, manifest) = (repository.clone(), manifest.clone());
        self.registry
            .scan(move |meta| meta.damage_within(Some(&repository), &manifest, MAX_PIECES))
            .await
    }
}
