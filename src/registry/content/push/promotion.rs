//! Pointing a tag at what another tag has, in the same repository or in another one.

use std::collections::HashSet;

use crate::meta::{Actor, ManifestId, NewManifest, RepositorySource, TagOrigin, TagTarget, now};
use crate::oci::{Digest, Reference, RepositoryName, TagName};
use crate::registry::content::lost_blobs::BlobFiles;
use crate::registry::content::pull::manifest::manifest_unknown;
use crate::registry::content::push::change::{Needed, RepositoryChange};
use crate::registry::content::push::manifest::parse_manifest;
use crate::registry::content::push::tag_changes::TagChanges;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::facades::Tags;

/// Result of [`Tags::promote`].
#[derive(Clone, Debug)]
pub struct Promotion {
    /// Target of the tag before; `None` if it is new.
    pub was: Option<Digest>,
    pub digest: Digest,
    /// Content that the image names and that did not come along, because `source` lacks it.
    pub missing: usize,
}

/// Acceptance of images that `source` has in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    Refused,
    Accepted,
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
        gaps: Gaps,
        actor: Actor,
    ) -> Result<Promotion, Error> {
        self.registry.check_disk_space(0)?;
        let (source, reference) = (source.clone(), reference.clone());
        let (name, tag) = (repository.clone(), tag.clone());
        let mut settings = (*self.registry.settings()).clone();
        settings.sparse |= gaps == Gaps::Accepted;
        let files = self.registry.blob_files();
        self.registry
            .write(actor, move |tx, actor| {
                if let Some(RepositorySource::Upstream(_)) = tx.repository_source(&name)? {
                    return Err(Error::Cache(name));
                }
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
                    tag_changes: TagChanges::All,
                    now,
                };
                let was = tx.tag_target(change.id, &tag)?.map(|(_, digest)| digest);
                let (manifest, missing) = change.adopt(&source, &digest, &files)?;
                let target = TagTarget {
                    manifest,
                    digest: &digest,
                };
                change.set_tag(&tag, target, TagOrigin::push(now))?;
                Ok(Promotion {
                    was,
                    digest,
                    missing,
                })
            })
            .await
    }
}

/// Step of a walk through an index and its children, which come first.
enum Step {
    Visit(Digest),
    Record(Vec<Reference>, NewManifest),
}

impl RepositoryChange<'_> {
    /// Records a manifest of `source` with what it references, under the rules of a push.
    ///
    /// Indexes nest as deep as their clients like, so no function calls itself for them.
    fn adopt(
        &self,
        source: &RepositoryName,
        digest: &Digest,
        files: &BlobFiles,
    ) -> Result<(ManifestId, usize), Error> {
        let (mut seen, mut missing) = (HashSet::new(), 0);
        let mut steps = vec![Step::Visit(digest.clone())];
        while let Some(step) = steps.pop() {
            match step {
                Step::Visit(digest) => {
                    if seen.insert(digest.clone()) {
                        missing += self.visit(source, &digest, &mut steps)?;
                    }
                }
                Step::Record(references, new) => {
                    self.record_manifest(&references, &new, Needed::Files(files))?;
                }
            }
        }
        let adopted = self.tx.manifest(self.id, digest)?;
        let manifest = adopted.ok_or_else(|| unknown(self.name, digest))?;
        Ok((manifest, missing))
    }

    /// Reads a manifest of `source` and links its blobs; adds its children, to be visited before it is recorded.
    ///
    /// Returns the number of references that `source` lacks.
    fn visit(
        &self,
        source: &RepositoryName,
        digest: &Digest,
        steps: &mut Vec<Step>,
    ) -> Result<usize, Error> {
        let stored = self
            .tx
            .manifest_by_digest(source, digest)?
            .ok_or_else(|| unknown(source, digest))?;
        let (mut manifest, new) =
            parse_manifest(Some(digest.clone()), Some(&stored.media_type), stored.bytes)?;
        self.settings.manifest_rules.check(&manifest)?;
        self.settings
            .manifest_rules
            .mark_optional_children(&mut manifest);
        let (mut children, mut missing) = (Vec::new(), 0);
        if source != self.name
            && let Some(from) = self.tx.repository(source)?
        {
            for Reference {
                digest,
                is_child,
                is_optional,
            } in &manifest.references
            {
                if *is_child && self.tx.manifest(from, digest)?.is_some() {
                    children.push(Step::Visit(digest.clone()));
                } else if let Some(blob) = self.tx.blob_in(from, digest)? {
                    self.tx.link_blob(self.id, digest, blob, self.now)?;
                } else {
                    missing += usize::from(!is_optional);
                }
            }
        }
        steps.push(Step::Record(manifest.references, new));
        steps.append(&mut children);
        Ok(missing)
    }
}

fn unknown(repository: &RepositoryName, digest: &Digest) -> Error {
    manifest_unknown(repository, &ManifestReference::Digest(digest.clone()))
}
