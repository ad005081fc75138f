//! Pushing manifests and mounting blobs (OCI distribution-spec 1.1, "Pushing manifests", "Mounting
//! a blob").

use std::sync::Arc;

use bytes::Bytes;

use crate::blob::Hasher;
use crate::meta::{
    self, Actor, BlobRow, ManifestId, Millis, NewManifest, RepositoryId, WriteTx, now,
};
use crate::oci::{Algorithm, Digest, Manifest, Reference, RepositoryName, TagName};
use crate::registry::blocking::blocking;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::policy::tag_policy::Policy;
use crate::registry::settings::RegistrySettings;
use crate::registry::slices::{Blobs, Manifests};

/// Result of a manifest push.
#[derive(Clone, Debug)]
pub struct PushedManifest {
    pub digest: Digest,
    /// The manifest's subject, which is confirmed to the client, so that it need not maintain a
    /// referrers tag.
    pub subject: Option<Digest>,
}

/// Target of a manifest's reference.
enum Target {
    Blob(BlobRow),
    Manifest(ManifestId),
    /// Absent, and allowed to be.
    Absent,
}

impl Manifests<'_> {
    /// Stores a manifest byte for byte and sets tags, in one transaction.
    ///
    /// `reference` comes from the request's path; `tags` are set in addition.
    ///
    /// # Errors
    /// [`Error::ReferencesUnknown`] if the repository lacks referenced content and sparse manifests
    /// are not accepted; [`Error::TagImmutable`] if an immutable tag points elsewhere.
    pub async fn push(
        self,
        repository: &RepositoryName,
        reference: ManifestReference,
        mut tags: Vec<TagName>,
        content_type: Option<String>,
        bytes: Bytes,
        actor: Actor,
    ) -> Result<PushedManifest, Error> {
        let settings = self.registry.settings();
        let limit = settings.manifest_limit;
        if bytes.len() > limit {
            return Err(Error::ManifestTooLarge { limit });
        }
        self.registry.check_disk_space(bytes.len() as u64)?;
        let expected = match reference {
            ManifestReference::Digest(digest) => Some(digest),
            ManifestReference::Tag(tag) => {
                tags.push(tag);
                None
            }
        };
        let rules = Arc::clone(&settings);
        let read = move || {
            let (mut manifest, new) = parse_manifest(expected, content_type.as_deref(), bytes)?;
            rules.manifest_rules.check(&manifest)?;
            rules.manifest_rules.mark_optional_children(&mut manifest);
            Ok::<_, Error>((manifest, new))
        };
        let (manifest, new) = blocking(read).await??;
        let pushed = PushedManifest {
            digest: new.digest.clone(),
            subject: new.subject.clone(),
        };
        let repository = repository.clone();
        self.registry
            .write(actor, move |tx, actor| {
                let now = now();
                let id = tx.ensure_repository(&repository, now)?;
                let manifest = record_manifest(
                    tx,
                    id,
                    &repository,
                    &manifest.references,
                    &new,
                    &settings,
                    now,
                )?;
                let policy = settings.retention.policy(repository.as_str());
                tags.iter().try_for_each(|tag| {
                    set_tag(tx, &repository, id, tag, manifest, policy, actor, now)
                })
            })
            .await?;
        Ok(pushed)
    }
}

impl Blobs<'_> {
    /// Links a blob of repository `from`, or of any repository, to this one; false if there is
    /// none.
    pub async fn mount(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
        actor: Actor,
    ) -> Result<bool, Error> {
        let is_there = match from {
            Some(from) => self.link(from, digest).await?.is_some(),
            None => {
                let is_shown = meta::point(|reader| reader.is_blob_shown(digest));
                self.registry.meta.read(is_shown).await?
            }
        };
        if !is_there {
            return Ok(false);
        }
        if let Some(link) = self.link(repository, digest).await?
            && self.promise_link(repository, digest, &link).await?
        {
            return Ok(true);
        }
        let (repository, digest) = (repository.clone(), digest.clone());
        self.registry
            .write(actor, move |tx, _| {
                let Some(blob) = tx.blob(&digest)? else {
                    return Ok(false);
                };
                let now = now();
                let repository = tx.ensure_repository(&repository, now)?;
                tx.link_blob(repository, &digest, blob, now)?;
                Ok(true)
            })
            .await
    }
}

/// Parses a manifest and verifies its digest.
///
/// # Errors
/// [`Error::DigestMismatch`] if the bytes have another digest than `expected`.
pub(in crate::registry) fn parse_manifest(
    expected: Option<Digest>,
    content_type: Option<&str>,
    bytes: Bytes,
) -> Result<(Manifest, NewManifest), Error> {
    let algorithm = expected
        .as_ref()
        .map_or(Algorithm::Sha256, Digest::algorithm);
    let digest = Hasher::digest(algorithm, &bytes);
    if let Some(expected) = expected.filter(|expected| *expected != digest) {
        return Err(Error::DigestMismatch {
            expected,
            actual: digest,
        });
    }
    let manifest = Manifest::parse(content_type, &bytes)?;
    let new = NewManifest {
        digest,
        media_type: manifest.media_type.as_str().to_owned(),
        artifact_type: manifest.artifact_type.clone(),
        subject: manifest.subject.clone(),
        bytes,
    };
    Ok((manifest, new))
}

/// Records a manifest with its references, or renews the lease of one that is already there.
pub(in crate::registry) fn record_manifest(
    tx: &WriteTx<'_>,
    id: RepositoryId,
    repository: &RepositoryName,
    references: &[Reference],
    new: &NewManifest,
    settings: &RegistrySettings,
    now: Millis,
) -> Result<ManifestId, Error> {
    if let Some(manifest) = tx.manifest(id, &new.digest)? {
        tx.renew_manifest(manifest, now)?;
        return Ok(manifest);
    }
    let targets = resolve_references(tx, id, repository, references, settings)?;
    let manifest = tx.insert_manifest(id, new, now)?;
    for (reference, target) in references.iter().zip(targets) {
        match target {
            Target::Blob(blob) => tx.add_blob_reference(manifest, blob, reference.is_child)?,
            Target::Manifest(child) => tx.add_child_reference(manifest, child)?,
            Target::Absent => {
                tx.add_absent_reference(id, manifest, &reference.digest, reference.is_child)?
            }
        }
    }
    tx.hold_referrers(id, manifest, new)?;
    Ok(manifest)
}

/// Points a tag at a manifest, unless the tag is immutable and points elsewhere.
#[expect(
    clippy::too_many_arguments,
    reason = "one change, and all that is recorded of it"
)]
pub(in crate::registry) fn set_tag(
    tx: &WriteTx<'_>,
    repository: &RepositoryName,
    id: RepositoryId,
    tag: &TagName,
    manifest: ManifestId,
    policy: Option<&Policy>,
    actor: &Actor,
    now: Millis,
) -> Result<(), Error> {
    if let Some(policy) = policy
        && tx
            .tag_target(id, tag)?
            .is_some_and(|(present, _)| present != manifest)
    {
        policy.check_mutable(repository, tag.as_str())?;
    }
    Ok(tx.set_tag(id, tag, manifest, actor, now)?)
}

/// Resolves each reference.
///
/// # Errors
/// [`Error::ReferencesUnknown`] with all digests that the repository lacks.
fn resolve_references(
    tx: &WriteTx<'_>,
    id: RepositoryId,
    repository: &RepositoryName,
    references: &[Reference],
    settings: &RegistrySettings,
) -> Result<Vec<Target>, Error> {
    let mut missing = Vec::new();
    let mut targets = Vec::with_capacity(references.len());
    for reference in references {
        let child = if reference.is_child {
            tx.manifest(id, &reference.digest)?
        } else {
            None
        };
        targets.push(match child {
            Some(manifest) => Target::Manifest(manifest),
            None => match tx.blob_in(id, &reference.digest)? {
                Some(blob) => Target::Blob(blob),
                None => {
                    if !reference.is_optional && !settings.sparse {
                        missing.push(reference.digest.clone());
                    }
                    Target::Absent
                }
            },
        });
    }
    if missing.is_empty() {
        Ok(targets)
    } else {
        Err(Error::ReferencesUnknown {
            repository: repository.clone(),
            digests: missing,
        })
    }
}
