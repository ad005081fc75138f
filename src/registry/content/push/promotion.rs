//! Pointing a tag at what another tag has, in the same repository or in another one.

use crate::meta::{Actor, ManifestId, TagOrigin, now};
use crate::oci::{Digest, Reference, RepositoryName, TagName};
use crate::registry::content::pull::manifest::manifest_unknown;
use crate::registry::content::push::change::RepositoryChange;
use crate::registry::content::push::manifest::parse_manifest;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::facades::Tags;

/// Result of [`Tags::promote`].
#[derive(Clone, Debug)]
pub struct Promotion {
    /// Target of the tag before; `None` if it is new.
    pub was: Option<Digest>,
    pub digest: Digest,
}

impl Tags<'_> {
    /// Points `tag` of `repository` at a manifest of `source`, in one change.
    ///
    /// As a client would by mounting the blobs and pushing the manifests: the children of an index
    /// come along, referrers do not, and no byte of a blob is copied.
    ///
    /// # Errors
    /// Those of a push into `repository`; [`Error::ManifestUnknown`] if `source` lacks the manifest.
    pub async fn promote(
        self,
        source: &RepositoryName,
        reference: &ManifestReference,
        repository: &RepositoryName,
        tag: &TagName,
        actor: Actor,
    ) -> Result<Promotion, Error> {
        self.registry.check_disk_space(0)?;
        let (source, reference) = (source.clone(), reference.clone());
        let (name, tag, settings) = (repository.clone(), tag.clone(), self.registry.settings());
        self.registry
            .write(actor, move |tx, actor| {
                let found = match &reference {
                    ManifestReference::Tag(tag) => tx.manifest_by_tag(&source, tag)?,
                    ManifestReference::Digest(digest) => tx.manifest_by_digest(&source, digest)?,
                };
                let digest = found
                    .ok_or_else(|| manifest_unknown(&source, &reference))?
                    .digest;
                let now = now();
                let change = RepositoryChange {
                    tx,
                    id: tx.ensure_repository(&name, now)?,
                    name: &name,
                    settings: &settings,
                    actor,
                    now,
                };
                let was = tx.tag_target(change.id, &tag)?.map(|(_, digest)| digest);
                let manifest = change.adopt(&source, &digest)?;
                change.set_tag(&tag, manifest, TagOrigin::push(now))?;
                Ok(Promotion { was, digest })
            })
            .await
    }
}

impl RepositoryChange<'_> {
    /// Records a manifest of `source` with what it references, under the rules of a push.
    fn adopt(&self, source: &RepositoryName, digest: &Digest) -> Result<ManifestId, Error> {
        let stored = self
            .tx
            .manifest_by_digest(source, digest)?
            .ok_or_else(|| manifest_unknown(source, &ManifestReference::Digest(digest.clone())))?;
        let (mut manifest, new) =
            parse_manifest(Some(digest.clone()), Some(&stored.media_type), stored.bytes)?;
        self.settings.manifest_rules.check(&manifest)?;
        self.settings
            .manifest_rules
            .mark_optional_children(&mut manifest);
        if source != self.name {
            manifest
                .references
                .iter()
                .try_for_each(|reference| self.adopt_reference(source, reference))?;
        }
        self.record_manifest(&manifest.references, &new)
    }

    fn adopt_reference(&self, source: &RepositoryName, reference: &Reference) -> Result<(), Error> {
        let digest = &reference.digest;
        let Some(from) = self.tx.repository(source)? else {
            return Ok(());
        };
        if reference.is_child && self.tx.manifest(from, digest)?.is_some() {
            return self.adopt(source, digest).map(|_| ());
        }
        if let Some(blob) = self.tx.blob_in(from, digest)? {
            self.tx.link_blob(self.id, digest, blob, self.now)?;
        }
        Ok(())
    }
}
