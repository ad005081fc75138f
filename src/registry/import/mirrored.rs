//! Manifests of another registry that this one mirrors, recorded under the same limits as pushed ones.

use bytes::Bytes;

use crate::blob::Hasher;
use crate::meta::{Actor, AdoptionItem, Millis, RepositorySource, WriteTx, now};
use crate::oci::{Algorithm, Digest, RepositoryName, TagName};
use crate::registry::blocking::blocking;
use crate::registry::content::push::change::RepositoryChange;
use crate::registry::content::push::tag_changes::TagChanges;
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::import::piece::{ImportedManifest, ImportedTag};
use crate::registry::import::record::{QuotaCheck, record_manifest, record_tag};

/// Maker of the tag of another registry.
type OfTag = fn(TagName, Digest, Millis) -> ImportedTag;

/// A manifest as another registry sent it.
pub struct MirroredManifest {
    /// `None` if the other registry does not say it.
    pub digest: Option<Digest>,
    pub bytes: Bytes,
    /// Tag that points at it there.
    pub tag: Option<TagName>,
}

impl Import<'_> {
    /// Records a manifest without what it names; one that is damaged here is sound again.
    ///
    /// With one's own repository as `source`, its registry is being adopted: no quota refuses it, and what was deleted here stays away.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] and [`Error::ManifestInvalid`], [`Error::NoCache`] if the repository does not take it, and those of a
    /// push that does not fit.
    pub async fn mirror(
        self,
        repository: &RepositoryName,
        mirrored: MirroredManifest,
        source: RepositorySource,
        actor: Actor,
    ) -> Result<(), Error> {
        let MirroredManifest { digest, bytes, tag } = mirrored;
        self.registry.check_disk_space(bytes.len() as u64)?;
        // until it is recorded
        let _room = self.registry.parsing_space.take(&bytes).await?;
        let parse = move || {
            let digest = digest.unwrap_or_else(|| Hasher::digest(Algorithm::Sha256, &bytes));
            ImportedManifest::parse(digest, bytes, now())
        };
        let manifest = blocking(parse).await??;
        let (name, settings) = (repository.clone(), self.registry.settings());
        self.registry
            .write(actor, move |tx, actor| {
                let now = now();
                let change = RepositoryChange {
                    tx,
                    id: tx
                        .repository_for(&name, &source, now)?
                        .ok_or_else(|| Error::NoCache(name.clone()))?,
                    name: &name,
                    settings: &settings,
                    actor,
                    tag_changes: TagChanges::All,
                    now,
                };
                let digest = manifest.digest().clone();
                let (quota, of_tag) = match &source {
                    RepositorySource::Own => {
                        check_not_deleted(tx, &name, &digest)?;
                        (QuotaCheck::Skipped, ImportedTag::adopted as OfTag)
                    }
                    RepositorySource::Upstream(_) => {
                        (QuotaCheck::Applied, ImportedTag::mirrored as OfTag)
                    }
                };
                record_manifest(&change, manifest, quota)?;
                match tag {
                    Some(tag) => record_tag(&change, &of_tag(tag, digest, now)),
                    None => Ok(()),
                }
            })
            .await
    }
}

/// Rejects a manifest that was deleted here, unless a manifest here needs it.
fn check_not_deleted(
    tx: &WriteTx<'_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<(), Error> {
    let item = AdoptionItem::Digest(digest);
    if tx.is_deleted_adopted(repository, item)? && !tx.is_gap(repository, digest)? {
        return Err(Error::NoCache(repository.clone()));
    }
    Ok(())
}
