//! Pushing manifests (OCI distribution-spec 1.1, "Pushing manifests").

use std::sync::Arc;

use bytes::Bytes;

use crate::blob::Hasher;
use crate::meta::{Actor, NewManifest, TagTarget, now};
use crate::oci::{
    Algorithm, Digest, Manifest, ManifestError, Reference, RepositoryName, TagName, check_manifest,
};
use crate::registry::blocking::blocking;
use crate::registry::content::precondition::Precondition;
use crate::registry::content::push::change::{Needed, RepositoryChange};
use crate::registry::content::push::image_config::config_of;
use crate::registry::content::push::parsing_space::SMALL;
use crate::registry::content::push::tag_changes::TagChanges;
use crate::registry::content::push::validation::ManifestRules;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::facades::Manifests;
use crate::registry::settings::RegistrySettings;

/// Request to push a manifest.
pub struct ManifestPush {
    /// Tag or digest in the request's path.
    pub reference: ManifestReference,
    /// Tags to set in addition.
    pub tags: Vec<TagName>,
    pub content_type: Option<String>,
    pub bytes: Bytes,
    /// Condition on what the reference names now.
    pub condition: Precondition,
    /// Changes of tags that the actor may make.
    pub tag_changes: TagChanges,
}

/// Result of a manifest push.
#[derive(Clone, Debug)]
pub struct PushedManifest {
    pub digest: Digest,
    /// The manifest's subject, which is confirmed to the client, so that it need not maintain a
    /// referrers tag.
    pub subject: Option<Digest>,
}

impl Manifests<'_> {
    /// Stores a manifest byte for byte and sets tags, in one transaction.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] if the condition does not hold;
    /// [`Error::ReferencesUnknown`] if the repository lacks referenced content and sparse manifests
    /// are not accepted; [`Error::TagImmutable`] if an immutable tag points elsewhere;
    /// [`Error::TagDenied`] if the actor may not change a tag so.
    pub async fn push(
        self,
        repository: &RepositoryName,
        push: ManifestPush,
        actor: Actor,
    ) -> Result<PushedManifest, Error> {
        let ManifestPush {
            reference,
            mut tags,
            content_type,
            bytes,
            condition,
            tag_changes,
        } = push;
        let settings = self.registry.settings();
        let limit = settings.manifest_limit;
        if bytes.len() > limit {
            return Err(Error::ManifestTooLarge { limit });
        }
        self.registry.check_disk_space(bytes.len() as u64)?;
        let expected = match &reference {
            ManifestReference::Digest(digest) => Some(digest.clone()),
            ManifestReference::Tag(tag) => {
                tags.push(tag.clone());
                None
            }
        };
        // until the references are recorded
        let _room = self.registry.parsing_space.take(&bytes).await?;
        let (references, new, config) =
            read_in_place_if_small(expected, content_type, bytes, &settings).await?;
        let unread = self.check_config(repository, config).await?;
        let pushed = PushedManifest {
            digest: new.digest.clone(),
            subject: new.subject.clone(),
        };
        let references = Arc::new(references);
        let (name, needed) = (repository, Arc::clone(&references));
        let repository = repository.clone();
        let files = self.registry.blob_files();
        self.registry
            .write(actor, move |tx, actor| {
                let now = now();
                let change = RepositoryChange {
                    tx,
                    id: tx.ensure_repository(&repository, now)?,
                    name: &repository,
                    settings: &settings,
                    actor,
                    tag_changes,
                    now,
                };
                if !condition.is_absent() {
                    condition.check(change.stored(&reference)?.as_ref())?;
                }
                change.check_unread(unread.as_ref())?;
                change.admit_by_quota(&new)?;
                let manifest = change.record_manifest(&references, &new, Needed::Files(&files))?;
                let target = TagTarget {
                    manifest,
                    digest: &new.digest,
                };
                change.push_tags(&tags, target)
            })
            .await?;
        let needed = needed.iter().map(|reference| &reference.digest);
        self.registry.promises.fulfil(name, needed);
        Ok(pushed)
    }
}

/// A pushed manifest's references, what is recorded of it, and the config to be checked.
type ReadManifest = (Vec<Reference>, NewManifest, Option<Digest>);

/// Does the work of [`read_pushed`], on a blocking thread if it takes longer than to wake one.
async fn read_in_place_if_small(
    expected: Option<Digest>,
    content_type: Option<String>,
    bytes: Bytes,
    settings: &Arc<RegistrySettings>,
) -> Result<ReadManifest, Error> {
    let (is_small, settings) = (bytes.len() <= SMALL, Arc::clone(settings));
    let read = move || read_pushed(expected, content_type.as_deref(), bytes, &settings);
    if is_small {
        read()
    } else {
        blocking(read).await?
    }
}

/// Parses and checks a pushed manifest.
fn read_pushed(
    expected: Option<Digest>,
    content_type: Option<&str>,
    bytes: Bytes,
    settings: &RegistrySettings,
) -> Result<ReadManifest, Error> {
    let (mut manifest, new) = parse_manifest(expected, content_type, bytes)?;
    check_pushed(&manifest, &new, &settings.manifest_rules)?;
    settings
        .manifest_rules
        .mark_optional_children(&mut manifest);
    let config = config_of(&manifest);
    Ok((manifest.references, new, config))
}

/// Checks what a pushed manifest must fulfil beyond its shape.
fn check_pushed(
    manifest: &Manifest,
    new: &NewManifest,
    rules: &ManifestRules,
) -> Result<(), Error> {
    check_unambiguous(manifest, &new.bytes)?;
    rules.check(manifest)
}

/// Checks that every client sees the same manifest, and no browser runs it.
pub(in crate::registry) fn check_unambiguous(
    manifest: &Manifest,
    bytes: &[u8],
) -> Result<(), ManifestError> {
    if !manifest.media_type.is_json() {
        return Err(ManifestError::NotJson(manifest.media_type.clone()));
    }
    Ok(check_manifest(bytes)?)
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
