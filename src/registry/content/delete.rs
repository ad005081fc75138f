//! Deletion of manifests, tags, blobs and repositories (OCI distribution-spec 1.1, "Deleting").
//!
//! Content that is still referenced is not deleted; the error names the reference. Deleted
//! manifests can be restored within the grace period
//! ([`Trash::restore`](crate::registry::Trash::restore)).

use crate::events::EventKind;
use crate::meta::{Actor, AdoptionItem, ManifestId, Millis, RepositoryId, WriteTx, now};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::content::blob_events::blob_subject;
use crate::registry::content::precondition::Precondition;
use crate::registry::content::pull::blob::blob_unknown;
use crate::registry::content::pull::manifest::manifest_unknown;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::facades::{Blobs, Manifests, Repositories, Tags};
use crate::registry::settings::RegistrySettings;

/// Maximum number of manifests or tags deleted in one transaction.
const AT_ONCE: usize = 50;

/// The extent of a repository's deletion.
///
/// Row numbers are reused while it runs, so the time limits it as well.
#[derive(Clone, Copy)]
struct DeletionScope {
    repository: RepositoryId,
    newest: ManifestId,
    by: Millis,
}

impl Manifests<'_> {
    /// Deletes a tag alone or, by digest, a manifest with every tag that points at it.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] if the reference names something that does not meet the
    /// condition.
    pub async fn delete(
        self,
        repository: &RepositoryName,
        reference: &ManifestReference,
        condition: Precondition,
        actor: Actor,
    ) -> Result<(), Error> {
        self.registry.check_deletable()?;
        let (name, reference, settings) = (
            repository.clone(),
            reference.clone(),
            self.registry.settings(),
        );
        self.registry
            .write_freeing(actor, move |tx, actor| {
                let unknown = || manifest_unknown(&name, &reference);
                let repository = tx.repository(&name)?.ok_or_else(unknown)?;
                match &reference {
                    ManifestReference::Tag(tag) => {
                        settings.retention.check_mutable(&name, tag.as_str())?;
                        let (_, target) = tx.tag_target(repository, tag)?.ok_or_else(unknown)?;
                        condition.check(Some(&target))?;
                        tx.delete_tag(repository, tag.as_str(), actor, now())?;
                        Ok(())
                    }
                    ManifestReference::Digest(digest) => {
                        let manifest = tx.manifest(repository, digest)?.ok_or_else(unknown)?;
                        condition.check(Some(digest))?;
                        delete(tx, &settings, &name, manifest, digest, actor)
                    }
                }
            })
            .await
    }
}

impl Tags<'_> {
    /// Deletes several tags and nothing else; tags that are already gone are ignored.
    ///
    /// If one of them is immutable, none is deleted.
    pub async fn delete(
        self,
        repository: &RepositoryName,
        tags: &[TagName],
        actor: Actor,
    ) -> Result<(), Error> {
        self.registry.check_deletable()?;
        let settings = self.registry.settings();
        tags.iter()
            .try_for_each(|tag| settings.retention.check_mutable(repository, tag.as_str()))?;
        for batch in tags.chunks(AT_ONCE) {
            let (name, batch) = (repository.clone(), batch.to_vec());
            self.registry
                .write_freeing(actor.clone(), move |tx, actor| {
                    let repository = tx
                        .repository(&name)?
                        .ok_or_else(|| Error::NameUnknown(name.clone()))?;
                    batch.iter().try_for_each(|tag| {
                        tx.delete_tag(repository, tag.as_str(), actor, now())?;
                        Ok::<_, Error>(())
                    })
                })
                .await?;
        }
        Ok(())
    }
}

impl Blobs<'_> {
    /// Removes a blob from a repository; other repositories keep theirs.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] if the blob does not meet the condition.
    pub async fn delete(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        condition: Precondition,
        actor: Actor,
    ) -> Result<(), Error> {
        self.registry.check_deletable()?;
        let (name, digest) = (repository.clone(), digest.clone());
        self.registry
            .write_freeing(actor, move |tx, actor| {
                let unknown = || blob_unknown(&name, &digest);
                let repository = tx.repository(&name)?.ok_or_else(unknown)?;
                let blob = tx.blob_in(repository, &digest)?.ok_or_else(unknown)?;
                condition.check(Some(&digest))?;
                match tx.blob_holder(repository, blob)? {
                    Some(holder) => Err(Error::InUse {
                        digest: digest.clone(),
                        holder,
                    }),
                    None => {
                        let subject = blob_subject(repository, &digest, blob.size);
                        tx.tell(EventKind::BlobDeleted, actor, now(), || Ok(subject))?;
                        tx.remember_deletion(&name, AdoptionItem::Digest(&digest))?;
                        Ok(tx.unlink_blob(repository, blob)?)
                    }
                }
            })
            .await
    }
}

impl Repositories<'_> {
    /// Deletes all tags and manifests that a repository has when the call begins.
    ///
    /// Deletes nothing if a tag is immutable. A large repository takes several transactions, so
    /// that other writers can proceed.
    pub async fn delete(self, repository: &RepositoryName, actor: Actor) -> Result<(), Error> {
        self.registry.check_deletable()?;
        let (name, settings) = (repository.clone(), self.registry.settings());
        let scope = self.registry.meta.write(move |tx| {
            let Some(repository) = tx.repository(&name)? else {
                return Ok((None, tx.remember_repository_deletion(&name)?));
            };
            tx.tags_with_prefix(repository, "")?
                .iter()
                .try_for_each(|tag| settings.retention.check_mutable(&name, tag))?;
            let is_elsewhere = tx.remember_repository_deletion(&name)?;
            let newest = tx.newest_manifest(repository)?;
            let scope = newest.map(|newest| DeletionScope {
                repository,
                newest,
                by: now(),
            });
            Ok::<_, Error>((scope, is_elsewhere))
        });
        let scope = match scope.await? {
            (Some(scope), _) => scope,
            // nothing of it has come here yet, and nothing will
            (None, true) => return Ok(()),
            (None, false) => return Err(Error::NameUnknown(repository.clone())),
        };
        while self.delete_batch(repository, scope, actor.clone()).await? {}
        Ok(())
    }

    /// Deletes one batch of manifests that no index references; returns false if there were none
    /// left.
    async fn delete_batch(
        self,
        repository: &RepositoryName,
        scope: DeletionScope,
        actor: Actor,
    ) -> Result<bool, Error> {
        let (name, settings) = (repository.clone(), self.registry.settings());
        self.registry
            .write_freeing(actor, move |tx, actor| {
                if tx.repository(&name)? != Some(scope.repository) {
                    // the repository was collected since the last transaction, and its number may
                    // be reused
                    return Ok(false);
                }
                let deletable =
                    tx.manifests_without_parent(scope.repository, scope.newest, scope.by, AT_ONCE)?;
                for manifest in &deletable {
                    tx.tags_on(*manifest)?
                        .iter()
                        .try_for_each(|tag| settings.retention.check_mutable(&name, tag))?;
                    tx.delete_manifest(*manifest, actor, now())?;
                }
                Ok(!deletable.is_empty())
            })
            .await
    }
}

fn delete(
    tx: &WriteTx<'_>,
    settings: &RegistrySettings,
    repository: &RepositoryName,
    manifest: ManifestId,
    digest: &Digest,
    actor: &Actor,
) -> Result<(), Error> {
    if let Some(holder) = tx.manifest_holder(manifest)? {
        return Err(Error::InUse {
            digest: digest.clone(),
            holder,
        });
    }
    tx.tags_on(manifest)?
        .iter()
        .try_for_each(|tag| settings.retention.check_mutable(repository, tag))?;
    tx.remember_deletion(repository, AdoptionItem::Digest(digest))?;
    Ok(tx.delete_manifest(manifest, actor, now())?)
}
