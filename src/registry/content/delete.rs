//! Deleting (OCI distribution-spec 1.1, "Deleting"). What is still needed is not deleted; the refusal names who needs it.
//! What is deleted can be brought back for a while ([`Registry::restore_manifest`]).

use crate::meta::{Actor, ManifestId, Millis, RepositoryId, WriteTx, now};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::content::pull::{blob_unknown, manifest_unknown};
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::settings::RegistrySettings;
use crate::registry::slices::{Blobs, Manifests, Repositories, Tags};

/// How many manifests, or tags, are deleted in one change.
const AT_ONCE: usize = 50;

/// What goes with a repository: numbers of rows are given again while it does, so the time counts as well.
#[derive(Clone, Copy)]
struct DeletionScope {
    repository: RepositoryId,
    newest: ManifestId,
    by: Millis,
}

impl Manifests<'_> {
    /// By tag, removes the tag alone; by digest, the manifest and every tag that points at it.
    pub async fn delete(
        self,
        repository: &RepositoryName,
        reference: &ManifestReference,
        actor: Actor,
    ) -> Result<(), Error> {
        self.registry.check_deletable()?;
        let (name, reference, settings) = (
            repository.clone(),
            reference.clone(),
            self.registry.settings(),
        );
        self.registry
            .write(actor, move |tx, actor| {
                let unknown = || manifest_unknown(&name, &reference);
                let repository = tx.repository(&name)?.ok_or_else(unknown)?;
                match &reference {
                    ManifestReference::Tag(tag) => {
                        check_mutable(&settings, &name, tag.as_str())?;
                        tx.delete_tag(repository, tag.as_str(), actor, now())?
                            .then_some(())
                            .ok_or_else(unknown)
                    }
                    ManifestReference::Digest(digest) => {
                        let manifest = tx.manifest(repository, digest)?.ok_or_else(unknown)?;
                        delete(tx, &settings, &name, manifest, digest, actor)
                    }
                }
            })
            .await
    }
}

impl Tags<'_> {
    /// Removes several tags and nothing else; those that are gone already are passed over. Where one of them is immutable,
    /// none is removed.
    pub async fn delete(
        self,
        repository: &RepositoryName,
        tags: &[TagName],
        actor: Actor,
    ) -> Result<(), Error> {
        self.registry.check_deletable()?;
        let settings = self.registry.settings();
        tags.iter()
            .try_for_each(|tag| check_mutable(&settings, repository, tag.as_str()))?;
        for batch in tags.chunks(AT_ONCE) {
            let (name, batch) = (repository.clone(), batch.to_vec());
            self.registry
                .write(actor.clone(), move |tx, actor| {
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
    /// Takes a blob out of a repository; other repositories that show it are not touched.
    pub async fn delete(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        actor: Actor,
    ) -> Result<(), Error> {
        self.registry.check_deletable()?;
        let (name, digest) = (repository.clone(), digest.clone());
        self.registry
            .write(actor, move |tx, _| {
                let unknown = || blob_unknown(&name, &digest);
                let repository = tx.repository(&name)?.ok_or_else(unknown)?;
                let blob = tx.blob_in(repository, &digest)?.ok_or_else(unknown)?;
                match tx.blob_holder(repository, blob)? {
                    Some(holder) => Err(Error::InUse {
                        digest: digest.clone(),
                        holder,
                    }),
                    None => Ok(tx.unlink_blob(repository, blob)?),
                }
            })
            .await
    }
}

impl Repositories<'_> {
    /// Removes all tags and manifests of a repository, those that were there when it began, or nothing where a tag is
    /// immutable. A large one goes in several changes, so that others get their turn in between.
    pub async fn delete(self, repository: &RepositoryName, actor: Actor) -> Result<(), Error> {
        self.registry.check_deletable()?;
        let (name, settings) = (repository.clone(), self.registry.settings());
        let meant = self.registry.meta.write(move |tx| {
            let Some(repository) = tx.repository(&name)? else {
                return Ok(None);
            };
            tx.tags_with_prefix(repository, "")?
                .iter()
                .try_for_each(|tag| check_mutable(&settings, &name, tag))?;
            Ok::<_, Error>(tx.newest_manifest(repository)?.map(|newest| DeletionScope {
                repository,
                newest,
                by: now(),
            }))
        });
        let Some(meant) = meant.await? else {
            return Err(Error::NameUnknown(repository.clone()));
        };
        while self.delete_batch(repository, meant, actor.clone()).await? {}
        Ok(())
    }

    /// Removes some of the manifests that are meant and that no index needs; says whether there were any.
    async fn delete_batch(
        self,
        repository: &RepositoryName,
        meant: DeletionScope,
        actor: Actor,
    ) -> Result<bool, Error> {
        let (name, settings) = (repository.clone(), self.registry.settings());
        self.registry
            .write(actor, move |tx, actor| {
                if tx.repository(&name)? != Some(meant.repository) {
                    // collected since the last change, and its number may be another one's
                    return Ok(false);
                }
                let free = tx.free_manifests(meant.repository, meant.newest, meant.by, AT_ONCE)?;
                for manifest in &free {
                    tx.tags_on(*manifest)?
                        .iter()
                        .try_for_each(|tag| check_mutable(&settings, &name, tag))?;
                    tx.delete_manifest(*manifest, actor, now())?;
                }
                Ok(!free.is_empty())
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
        .try_for_each(|tag| check_mutable(settings, repository, tag))?;
    Ok(tx.delete_manifest(manifest, actor, now())?)
}

fn check_mutable(
    settings: &RegistrySettings,
    repository: &RepositoryName,
    tag: &str,
) -> Result<(), Error> {
    let policy = settings.retention.policy(repository.as_str());
    if policy.is_some_and(|policy| policy.is_immutable(tag)) {
        return Err(Error::TagImmutable {
            repository: repository.clone(),
            tag: tag.to_owned(),
        });
    }
    Ok(())
}
