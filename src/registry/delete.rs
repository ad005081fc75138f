//! Deleting (OCI distribution-spec 1.1, "Deleting"). What is still needed is not deleted; the refusal names who needs it.

use super::pull::{blob_unknown, manifest_unknown};
use super::{Error, ManifestReference, Registry};
use crate::oci::{Digest, RepositoryName};

impl Registry {
    /// By tag, removes the tag alone; by digest, the manifest and every tag that points at it.
    pub async fn delete_manifest(&self, repository: &RepositoryName, reference: &ManifestReference) -> Result<(), Error> {
        self.check_deletable()?;
        let (name, reference) = (repository.clone(), reference.clone());
        self.meta
            .write(move |tx| {
                let unknown = || manifest_unknown(&name, &reference);
                let repository = tx.repository(&name)?.ok_or_else(unknown)?;
                match &reference {
                    ManifestReference::Tag(tag) => tx.delete_tag(repository, tag)?.then_some(()).ok_or_else(unknown),
                    ManifestReference::Digest(digest) => {
                        let manifest = tx.manifest(repository, digest)?.ok_or_else(unknown)?;
                        match tx.manifest_holder(manifest)? {
                            Some(holder) => Err(Error::InUse { digest: digest.clone(), holder }),
                            None => Ok(tx.delete_manifest(manifest)?),
                        }
                    }
                }
            })
            .await
    }

    /// Takes a blob out of a repository; other repositories that show it are not touched.
    pub async fn delete_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<(), Error> {
        self.check_deletable()?;
        let (name, digest) = (repository.clone(), digest.clone());
        self.meta
            .write(move |tx| {
                let unknown = || blob_unknown(&name, &digest);
                let repository = tx.repository(&name)?.ok_or_else(unknown)?;
                let blob = tx.blob_in(repository, &digest)?.ok_or_else(unknown)?;
                match tx.blob_holder(repository, blob)? {
                    Some(holder) => Err(Error::InUse { digest: digest.clone(), holder }),
                    None => Ok(tx.unlink_blob(repository, blob)?),
                }
            })
            .await
    }

    /// Removes a repository with all its tags and manifests.
    pub async fn delete_repository(&self, repository: &RepositoryName) -> Result<(), Error> {
        self.check_deletable()?;
        let name = repository.clone();
        self.meta
            .write(move |tx| match tx.repository(&name)? {
                Some(repository) => Ok(tx.delete_repository(repository)?),
                None => Err(Error::NameUnknown(name)),
            })
            .await
    }
}
