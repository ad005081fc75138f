//! Pointing a tag at what another tag has, in the same repository or in another one.

use std::collections::HashSet;

use crate::meta::{
    Actor, BlobRow, ManifestId, NewManifest, RepositoryId, RepositorySource, TagOrigin, TagTarget,
    now,
};
use crate::oci::{Digest, Manifest, RepositoryName, TagName};
use crate::registry::content::describe::name_of;
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
    /// Children of indexes that did not come along, because `source` lacks them in whole or in part.
    pub missing: Vec<MissingChild>,
}

/// Child of an index that did not come along.
#[derive(Clone, Debug)]
pub struct MissingChild {
    pub digest: Digest,
    /// Platform such as `linux/arm64/v8`; `None` for attestations and artifacts.
    pub platform: Option<String>,
}

/// Purpose of a tag that points at what another one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Another name: the image is whole, and the tag may move.
    Promote,
    /// One's own name for what a cache has: of an index, what is whole suffices; the tag is new.
    Keep,
}

impl Tags<'_> {
    /// Points `tag` of `repository` at a manifest of `source`, in one change.
    ///
    /// As a client would by mounting the blobs and pushing the manifests: the children of an index
    /// come along, referrers do not, and no byte of a blob is copied.
    ///
    /// # Errors
    /// Those of a push into `repository`; [`Error::ManifestUnknown`] if `source` lacks the manifest. Of what is kept:
    /// [`Error::ReferencesUnknown`] of `source` if nothing there is whole, [`Error::TagDenied`] if the tag would move.
    pub async fn promote(
        self,
        source: &RepositoryName,
        reference: &ManifestReference,
        repository: &RepositoryName,
        tag: &TagName,
        purpose: Purpose,
        actor: Actor,
    ) -> Result<Promotion, Error> {
        self.registry.check_disk_space(0)?;
        let (source, reference) = (source.clone(), reference.clone());
        let (name, tag) = (repository.clone(), tag.clone());
        let mut settings = (*self.registry.settings()).clone();
        settings.sparse |= purpose == Purpose::Keep;
        let tag_changes = match purpose {
            Purpose::Promote => TagChanges::All,
            Purpose::Keep => TagChanges::Creations,
        };
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
                    tag_changes,
                    now,
                };
                let was = tx.tag_target(change.id, &tag)?.map(|(_, digest)| digest);
                let (manifest, missing) = change.adopt(&source, &digest, purpose, &files)?;
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
    Record(Box<Manifest>, NewManifest),
}

/// Walk through an image of `source`.
struct Walk<'w> {
    source: &'w RepositoryName,
    root: &'w Digest,
    purpose: Purpose,
    files: &'w BlobFiles,
    steps: Vec<Step>,
    /// Content that does not come along.
    missing: Vec<MissingChild>,
}

impl RepositoryChange<'_> {
    /// Records a manifest of `source` with what it references, under the rules of a push.
    ///
    /// Indexes nest as deep as their clients like, so no function calls itself for them.
    fn adopt(
        &self,
        source: &RepositoryName,
        digest: &Digest,
        purpose: Purpose,
        files: &BlobFiles,
    ) -> Result<(ManifestId, Vec<MissingChild>), Error> {
        let mut walk = Walk {
            source,
            root: digest,
            purpose,
            files,
            steps: vec![Step::Visit(digest.clone())],
            missing: Vec::new(),
        };
        // the root is recorded last
        let (mut seen, mut adopted) = (HashSet::new(), None);
        while let Some(step) = walk.steps.pop() {
            match step {
                Step::Visit(digest) => {
                    if seen.insert(digest.clone()) {
                        self.visit(&mut walk, digest)?;
                    }
                }
                Step::Record(manifest, new) => adopted = self.record(&mut walk, *manifest, &new)?,
            }
        }
        match adopted {
            Some(manifest) => Ok((manifest, walk.missing)),
            None => Err(Error::ReferencesUnknown {
                repository: source.clone(),
                digests: walk.missing.into_iter().map(|one| one.digest).collect(),
            }),
        }
    }

    /// Reads a manifest of `source` and links its blobs; adds its children, to be visited before it is recorded.
    ///
    /// An image that is kept is passed over unless it is whole.
    fn visit(&self, walk: &mut Walk<'_>, digest: Digest) -> Result<(), Error> {
        let source = walk.source;
        let Some(stored) = self.tx.manifest_by_digest(source, &digest)? else {
            return match walk.purpose == Purpose::Keep && digest != *walk.root {
                // a damaged child does not come along
                true => Ok(()),
                false => Err(unknown(source, &digest)),
            };
        };
        let (mut manifest, new) =
            parse_manifest(Some(digest.clone()), Some(&stored.media_type), stored.bytes)?;
        self.settings.manifest_rules.check(&manifest)?;
        self.settings
            .manifest_rules
            .mark_optional_children(&mut manifest);
        let (mut children, mut blobs, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        if source != self.name
            && let Some(from) = self.tx.repository(source)?
        {
            for reference in &manifest.references {
                let digest = &reference.digest;
                if reference.is_child && self.tx.manifest(from, digest)?.is_some() {
                    children.push(Step::Visit(digest.clone()));
                } else if let Some(blob) = self.blob_of(from, digest, walk)? {
                    blobs.push((digest, blob));
                } else if !reference.is_optional {
                    missing.push(MissingChild {
                        digest: digest.clone(),
                        platform: None,
                    });
                }
            }
        }
        let is_image = manifest.children.is_empty();
        if walk.purpose == Purpose::Keep && is_image && !missing.is_empty() {
            if digest == *walk.root {
                walk.missing = missing;
            }
            return Ok(());
        }
        for (digest, blob) in blobs {
            self.tx.link_blob(self.id, digest, blob, self.now)?;
        }
        walk.steps.push(Step::Record(Box::new(manifest), new));
        walk.steps.append(&mut children);
        Ok(())
    }

    /// Finds a blob of `source`; one that is to be kept has its file.
    fn blob_of(
        &self,
        source: RepositoryId,
        digest: &Digest,
        walk: &Walk<'_>,
    ) -> Result<Option<BlobRow>, Error> {
        let found = self.tx.blob_in(source, digest)?;
        if walk.purpose == Purpose::Promote {
            return Ok(found);
        }
        let found = match found {
            None => self.tx.blob_in(self.id, digest)?,
            found => found,
        };
        match found {
            Some(blob) if walk.files.is_lost(self.tx, digest, blob.size)? => Ok(None),
            found => Ok(found),
        }
    }

    /// Records a visited manifest; `None` for an index that is to be kept and of which no child came along.
    fn record(
        &self,
        walk: &mut Walk<'_>,
        manifest: Manifest,
        new: &NewManifest,
    ) -> Result<Option<ManifestId>, Error> {
        let references = &manifest.references;
        let needed = Needed::Files(walk.files);
        if walk.purpose == Purpose::Promote || manifest.children.is_empty() {
            return self.record_manifest(references, new, needed).map(Some);
        }
        let (mut missing, mut is_any_here) = (Vec::new(), false);
        for reference in references {
            if self.holds(reference)? {
                is_any_here = true;
            } else if !reference.is_optional {
                missing.push(missing_child(&manifest, &reference.digest));
            }
        }
        if is_any_here || new.digest == *walk.root {
            walk.missing.append(&mut missing);
        }
        if !is_any_here {
            return Ok(None);
        }
        // gaps of one that is one's own already are damage
        let is_new = self.tx.manifest(self.id, &new.digest)?.is_none();
        let recorded = self.record_manifest(references, new, needed)?;
        if is_new {
            self.tx.mark_unpulled(recorded)?;
        }
        Ok(Some(recorded))
    }
}

fn missing_child(index: &Manifest, digest: &Digest) -> MissingChild {
    let descriptor = index
        .children
        .iter()
        .find(|child| child.digest == digest.as_str());
    MissingChild {
        digest: digest.clone(),
        platform: descriptor
            .and_then(|child| child.platform.as_ref())
            .and_then(name_of),
    }
}

fn unknown(repository: &RepositoryName, digest: &Digest) -> Error {
    manifest_unknown(repository, &ManifestReference::Digest(digest.clone()))
}
