//! Changes of one repository: recording manifests, and pointing tags at them.

use crate::events::EventKind;
use crate::meta::{
    Actor, AuditAction, AuditSubject, BlobRow, EventPlace, EventSubject, ManifestId, Millis,
    NewManifest, RepositoryId, TagOrigin, TagTarget, WriteTx, now,
};
use crate::oci::{Digest, MediaType, Reference, RepositoryName, TagName};
use crate::registry::content::lost_blobs::BlobFiles;
use crate::registry::content::push::tag_changes::TagChanges;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::settings::RegistrySettings;

/// Maximum number of missing digests that an error names: it is logged, and a manifest may have 25,000.
const MISSING_NAMED: usize = 100;

/// One change of a repository, with everything that is recorded of it.
pub(in crate::registry) struct RepositoryChange<'c> {
    pub tx: &'c WriteTx<'c>,
    pub id: RepositoryId,
    pub name: &'c RepositoryName,
    pub settings: &'c RegistrySettings,
    pub actor: &'c Actor,
    pub tag_changes: TagChanges,
    pub now: Millis,
}

/// Content that must be there for a new manifest.
#[derive(Clone, Copy)]
pub(in crate::registry) enum Needed<'n> {
    /// Nothing: gaps are accepted.
    Nothing,
    /// Its place in the repository.
    Links,
    /// The same as far as it is there: a cache gets the rest from its upstream.
    PresentLinks,
    /// Its blobs' files as well, so that a client pushes again what was lost.
    Files(&'n BlobFiles),
}

/// Target of a manifest's reference.
enum Target {
    Blob(BlobRow),
    Manifest(ManifestId),
    /// Absent, and allowed to be.
    Absent,
}

impl<'c> RepositoryChange<'c> {
    /// Begins a change of a repository that exists.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] if it does not.
    pub fn of_known(
        tx: &'c WriteTx<'c>,
        name: &'c RepositoryName,
        settings: &'c RegistrySettings,
        actor: &'c Actor,
    ) -> Result<Self, Error> {
        let id = tx
            .repository(name)?
            .ok_or_else(|| Error::NameUnknown(name.clone()))?;
        Ok(Self {
            tx,
            id,
            name,
            settings,
            actor,
            tag_changes: TagChanges::All,
            now: now(),
        })
    }

    /// Returns the digest of the manifest that a reference names now, if any.
    pub fn stored(&self, reference: &ManifestReference) -> Result<Option<Digest>, Error> {
        Ok(match reference {
            ManifestReference::Tag(tag) => {
                self.tx.tag_target(self.id, tag)?.map(|(_, digest)| digest)
            }
            ManifestReference::Digest(digest) => {
                self.tx.manifest(self.id, digest)?.map(|_| digest.clone())
            }
        })
    }

    /// Admits a client's manifest to the repository's quota.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn admit_by_quota(&self, new: &NewManifest) -> Result<(), Error> {
        match self.settings.quotas.of(self.name.as_str()) {
            Some(quota) => quota.admit_manifest(self.tx, self.id, new),
            None => Ok(()),
        }
    }

    /// Records a manifest with its references, or renews the lease of one that is already there and mends its type.
    ///
    /// # Errors
    /// [`Error::ReferencesUnknown`] if the repository lacks content that it must hold.
    pub fn record_manifest(
        &self,
        references: &[Reference],
        new: &NewManifest,
        needed: Needed<'_>,
    ) -> Result<ManifestId, Error> {
        let tx = self.tx;
        let action = match needed {
            Needed::Links | Needed::PresentLinks => AuditAction::Restore,
            Needed::Files(_) | Needed::Nothing => AuditAction::Push,
        };
        let needed = if self.settings.sparse {
            Needed::Nothing
        } else {
            needed
        };
        let Some(manifest) = tx.manifest(self.id, &new.digest)? else {
            return self.insert_audited(references, new, needed, action);
        };
        tx.renew_manifest(manifest, self.now)?;
        if tx.is_damaged(manifest)? {
            let targets = self.resolve_references(references, needed)?;
            let unpulled = tx.unpulled_children(manifest)?;
            tx.replace_manifest(manifest, new)?;
            self.add_references(manifest, references, targets)?;
            tx.mark_unpulled_again(manifest, &unpulled)?;
            tx.hold_referrers(self.id, manifest, new)?;
        } else {
            self.mend_media_type(manifest, new)?;
        }
        Ok(manifest)
    }

    /// Records a manifest that the repository does not hold, with its references.
    ///
    /// # Errors
    /// As [`Self::record_manifest`].
    pub fn insert_manifest(
        &self,
        references: &[Reference],
        new: &NewManifest,
        needed: Needed<'_>,
    ) -> Result<ManifestId, Error> {
        self.insert_audited(references, new, needed, AuditAction::Push)
    }

    fn insert_audited(
        &self,
        references: &[Reference],
        new: &NewManifest,
        needed: Needed<'_>,
        action: AuditAction,
    ) -> Result<ManifestId, Error> {
        let tx = self.tx;
        let targets = self.resolve_references(references, needed)?;
        let manifest = tx.insert_manifest(self.id, new, self.now)?;
        self.add_references(manifest, references, targets)?;
        tx.hold_referrers(self.id, manifest, new)?;
        let subject = AuditSubject {
            repository: Some(self.id),
            digest: Some(new.digest.as_str()),
            ..AuditSubject::default()
        };
        tx.audit(action, subject, self.actor, self.now)?;
        Ok(manifest)
    }

    /// Records the references of a manifest anew; gaps are accepted.
    pub fn renew_references(
        &self,
        manifest: ManifestId,
        references: &[Reference],
    ) -> Result<(), Error> {
        let targets = self.resolve_references(references, Needed::Nothing)?;
        let unpulled = self.tx.unpulled_children(manifest)?;
        self.tx.forget_references(manifest)?;
        self.add_references(manifest, references, targets)?;
        self.tx.mark_unpulled_again(manifest, &unpulled)?;
        Ok(())
    }

    fn add_references(
        &self,
        manifest: ManifestId,
        references: &[Reference],
        targets: Vec<Target>,
    ) -> Result<(), Error> {
        for (reference, target) in references.iter().zip(targets) {
            match target {
                Target::Blob(blob) => self.tx.add_blob_reference(manifest, blob, reference)?,
                Target::Manifest(child) => self.tx.add_child_reference(manifest, child)?,
                Target::Absent => self.tx.add_absent_reference(self.id, manifest, reference)?,
            }
        }
        Ok(())
    }

    /// Replaces the media type of a manifest that was pushed under a less specific one before.
    ///
    /// Bytes without a `mediaType` have the type that a push names. The reverse changes nothing, so no push makes an
    /// image unreadable.
    fn mend_media_type(&self, manifest: ManifestId, new: &NewManifest) -> Result<(), Error> {
        let Some(stored) = self.tx.media_type(manifest)? else {
            return Ok(());
        };
        let types = (MediaType::parse(&new.media_type), MediaType::parse(&stored));
        if let (Some(new), Some(stored)) = types
            && new.is_more_specific_than(&stored)
        {
            self.tx.set_media_type(manifest, new.as_str())?;
        }
        Ok(())
    }

    /// Points a tag at a manifest.
    ///
    /// # Errors
    /// [`Error::TagImmutable`] if the tag is immutable and points elsewhere; [`Error::TagDenied`] if the actor may not
    /// make this change.
    pub fn set_tag(
        &self,
        tag: &TagName,
        target: TagTarget<'_>,
        origin: TagOrigin,
    ) -> Result<(), Error> {
        self.check_change(tag, target.manifest)?;
        Ok(self
            .tx
            .set_tag(self.id, tag, target, origin, self.actor, self.now)?)
    }

    /// Points tags at a manifest that a client has pushed; without any, the manifest alone is told of.
    ///
    /// # Errors
    /// As [`Self::set_tag`].
    pub fn push_tags(&self, tags: &[TagName], target: TagTarget<'_>) -> Result<(), Error> {
        if tags.is_empty() {
            return self.tell_of(EventKind::ManifestPushed, target.manifest, None);
        }
        tags.iter().try_for_each(|tag| self.push_tag(tag, target))
    }

    /// Points a tag at a manifest that a client has pushed: one that points there already was pushed all the same.
    ///
    /// # Errors
    /// As [`Self::set_tag`].
    fn push_tag(&self, tag: &TagName, target: TagTarget<'_>) -> Result<(), Error> {
        let is_listened = self.tx.is_listened(EventKind::ManifestPushed)?;
        if is_listened
            && self
                .tx
                .tag_target(self.id, tag)?
                .is_some_and(|(present, _)| present == target.manifest)
        {
            self.tell_of(EventKind::ManifestPushed, target.manifest, Some(tag))?;
        }
        self.set_tag(tag, target, TagOrigin::push(self.now))
    }

    /// Tells endpoints of a manifest.
    pub fn tell_of(
        &self,
        kind: EventKind,
        manifest: ManifestId,
        tag: Option<&TagName>,
    ) -> Result<(), Error> {
        let subject = || {
            Ok(EventSubject {
                tag: tag.map(TagName::as_str),
                target: self.tx.descriptor(manifest)?,
                ..EventSubject::at(EventPlace::Id(self.id))
            })
        };
        Ok(self.tx.tell(kind, self.actor, self.now, subject)?)
    }

    fn check_change(&self, tag: &TagName, manifest: ManifestId) -> Result<(), Error> {
        let mutable = self
            .settings
            .retention
            .check_mutable(self.name, tag.as_str());
        if mutable.is_ok() && self.tag_changes == TagChanges::All {
            return Ok(());
        }
        let denied = |denied| {
            Err(Error::TagDenied {
                repository: self.name.clone(),
                tag: tag.clone(),
                denied,
            })
        };
        match (self.tx.tag_target(self.id, tag)?, self.tag_changes) {
            (Some((present, _)), _) if present == manifest => Ok(()),
            (Some(_), TagChanges::Creations) => denied(TagChanges::Moves),
            (None, TagChanges::Moves) => denied(TagChanges::Creations),
            (Some(_), _) => mutable,
            (None, _) => Ok(()),
        }
    }

    /// Resolves each reference.
    ///
    /// # Errors
    /// [`Error::ReferencesUnknown`] with the first [`MISSING_NAMED`] digests that the repository lacks.
    fn resolve_references(
        &self,
        references: &[Reference],
        needed: Needed<'_>,
    ) -> Result<Vec<Target>, Error> {
        let mut missing = Vec::new();
        let mut targets = Vec::with_capacity(references.len());
        for reference in references {
            let target = self.resolve(reference)?;
            if !reference.is_optional && self.is_missing(&target, &reference.digest, needed)? {
                missing.push(reference.digest.clone());
                if missing.len() == MISSING_NAMED {
                    break;
                }
            }
            targets.push(target);
        }
        if missing.is_empty() {
            Ok(targets)
        } else {
            Err(self.references_unknown(missing))
        }
    }

    fn is_missing(
        &self,
        target: &Target,
        digest: &Digest,
        needed: Needed<'_>,
    ) -> Result<bool, Error> {
        match (target, needed) {
            (_, Needed::Nothing | Needed::PresentLinks) => Ok(false),
            (Target::Absent, _) => Ok(true),
            (Target::Blob(blob), Needed::Files(files)) => {
                Ok(files.is_lost(self.tx, digest, blob.size)?)
            }
            (Target::Blob(_) | Target::Manifest(_), _) => Ok(false),
        }
    }

    /// Reports whether the repository holds what a reference names.
    pub(super) fn holds(&self, reference: &Reference) -> Result<bool, Error> {
        Ok(!matches!(self.resolve(reference)?, Target::Absent))
    }

    fn resolve(&self, reference: &Reference) -> Result<Target, Error> {
        if reference.is_child
            && let Some(child) = self.tx.manifest(self.id, &reference.digest)?
        {
            return Ok(Target::Manifest(child));
        }
        let blob = self.tx.blob_in(self.id, &reference.digest)?;
        Ok(blob.map_or(Target::Absent, Target::Blob))
    }

    pub(super) fn references_unknown(&self, digests: Vec<Digest>) -> Error {
        Error::ReferencesUnknown {
            repository: self.name.clone(),
            digests,
        }
    }
}
