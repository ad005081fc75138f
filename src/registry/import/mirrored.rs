//! Manifests of another registry that this one mirrors, recorded under the same limits as pushed ones.

use bytes::Bytes;

use crate::blob::Hasher;
use crate::meta::{Actor, RepositorySource, now};
use crate::oci::{Algorithm, Digest, RepositoryName, TagName};
use crate::registry::blocking::blocking;
use crate::registry::content::push::change::RepositoryChange;
use crate::registry::content::push::tag_changes::TagChanges;
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::import::piece::{ImportedManifest, ImportedTag};
use crate::registry::import::record::{QuotaCheck, record_manifest, record_tag};

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
    /// # Errors
    /// [`Error::DigestMismatch`] and [`Error::ManifestInvalid`], and those of a push that does not fit.
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
                record_manifest(&change, manifest, QuotaCheck::Applied)?;
                match tag {
                    Some(tag) => record_tag(&change, &ImportedTag::mirrored(tag, digest, now)),
                    None => Ok(()),
                }
            })
            .await
    }
}
