//! Requests for content that is damaged and not served, or that an image lacks: they say so.

use crate::meta::{self, Absence};
use crate::oci::{Digest, RepositoryName};
use crate::registry::content::damage_log::names_needing;
use crate::registry::content::pull::blob::blob_unknown;
use crate::registry::content::pull::manifest::manifest_unknown;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::service::Registry;

impl Registry {
    /// Returns the error for a blob that the repository does not show: damaged, unknown, or named by an image that lacks it.
    pub(in crate::registry) async fn missing_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Error {
        let read = meta::point(|reader| reader.blob_absence(repository, digest));
        match self.meta.read(read).await {
            Ok(Some(Absence::Damaged(found))) => {
                self.damaged_blob(repository, digest, found.damage).await
            }
            Ok(Some(Absence::NeededBy(image))) => Error::BlobUnknown {
                repository: repository.clone(),
                digest: digest.clone(),
                needed_by: Some(image),
            },
            Ok(None) => blob_unknown(repository, digest),
            Err(error) => error.into(),
        }
    }

    /// Returns the error for a damaged blob; logs it with the images that need it.
    pub(in crate::registry) async fn damaged_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        problem: String,
    ) -> Error {
        if self.damage_log.may_name(digest) {
            let wanted = digest.clone();
            let images = self
                .scan(move |reader| names_needing(reader, &wanted))
                .await;
            let images = images.unwrap_or_default();
            tracing::error!(
                %digest,
                problem,
                images,
                "a damaged blob is asked for: push one of these images again to repair it"
            );
        }
        Error::BlobDamaged {
            repository: repository.clone(),
            digest: digest.clone(),
            problem,
        }
    }

    /// Returns the error for a manifest that is not served: damaged, unknown, or named by an index that lacks it.
    pub(in crate::registry) async fn missing_manifest(
        &self,
        repository: &RepositoryName,
        reference: &ManifestReference,
    ) -> Error {
        let text = match reference {
            ManifestReference::Tag(tag) => tag.as_str(),
            ManifestReference::Digest(digest) => digest.as_str(),
        };
        let read = meta::point(|reader| reader.manifest_absence(repository, text));
        let damaged = match self.meta.read(read).await {
            Ok(Some(Absence::Damaged(damaged))) => damaged,
            Ok(Some(Absence::NeededBy(index))) => {
                return Error::ManifestUnknown {
                    repository: repository.clone(),
                    reference: text.to_owned(),
                    needed_by: Some(index),
                };
            }
            Ok(None) => return manifest_unknown(repository, reference),
            Err(error) => return error.into(),
        };
        if self.damage_log.may_name(&damaged.digest) {
            tracing::error!(
                %repository,
                reference = text,
                digest = %damaged.digest,
                problem = damaged.damage,
                "a damaged manifest is asked for: push this image again to repair it"
            );
        }
        Error::ManifestDamaged {
            repository: repository.clone(),
            reference: text.to_owned(),
            digest: damaged.digest,
            problem: damaged.damage,
        }
    }
}
