//! Recording another registry's content. All of it can be repeated: what is there stays as it is.

use std::collections::HashSet;
use std::sync::Arc;

use crate::blob::{HardLinks, SourceFile};
use crate::meta::{
    Actor, BlobRow, FormerTarget, Millis, RepositoryId, RepositoryScope, RepositorySource,
    TagOrigin, TagTarget, TakeOver, WithdrawnFile, WriteTx, now,
};
use crate::oci::{Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::push::change::{Needed, RepositoryChange};
use crate::registry::content::push::tag_changes::TagChanges;
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::import::piece::{
    ImportPiece, ImportedBlob, ImportedManifest, ImportedTag, TagClaim,
};
use crate::registry::import::progress::ImportProgress;
use crate::registry::import::tag_fate::TagFate;
use crate::registry::service::Registry;
use crate::registry::settings::RegistrySettings;
use crate::registry::verify::comparison::{Damage, withdraw};

/// Number of damaged blobs read from the database at once.
const PAGE: usize = 500;

impl<'r> Import<'r> {
    /// Returns how far the take-over of another registry's store in the data directory is.
    pub async fn take_over(self) -> Result<TakeOver, Error> {
        self.registry.scan(|reader| reader.take_over()).await
    }

    /// Reports whether files on the data directory's file system can get second names. Blocks.
    pub fn can_link(self) -> Result<bool, Error> {
        let links = self.registry.blobs.hard_links();
        let links = links.map_err(Error::files("making a file in the data directory"))?;
        Ok(links != HardLinks::Impossible)
    }

    /// Records durably that a take-over has begun.
    pub async fn begin_take_over(self) -> Result<(), Error> {
        let begun = move |tx: &WriteTx<'_>| Ok(tx.set_take_over(TakeOver::Begun)?);
        self.registry.meta.write(begun).await
    }

    /// Makes everything durable that was taken over, then records that it is complete.
    pub async fn complete_take_over(self) -> Result<(), Error> {
        let blobs = Arc::clone(&self.registry.blobs);
        blocking(move || blobs.sync_file_system())
            .await?
            .map_err(Error::files("syncing the file system"))?;
        let complete = move |tx: &WriteTx<'_>| Ok(tx.set_take_over(TakeOver::Complete)?);
        self.registry.meta.write(complete).await
    }

    /// The progress of the take-over, which decides whether the registry is available.
    pub fn progress(self) -> &'r ImportProgress {
        &self.registry.import
    }

    /// Gives a file of another registry the name of a blob, for [`Self::record_lazily`]. Blocks.
    ///
    /// # Errors
    /// [`Error::Link`] if that is impossible.
    pub fn link(self, blob: &ImportedBlob) -> Result<(), Error> {
        self.registry
            .blobs
            .link_source(&blob.source, &blob.digest)
            .map_err(Error::Link)
    }

    /// Records pieces in one transaction, which a power failure may undo until [`Self::complete_take_over`].
    ///
    /// # Errors
    /// [`Error::Link`], file system and database errors.
    pub async fn record_lazily(
        self,
        pieces: Vec<ImportPiece>,
        source: RepositorySource,
    ) -> Result<(), Error> {
        let (names, actor) = (Names::SyncedLater, Actor::default());
        let recording = recording(self.registry, pieces, names, source, actor);
        self.registry.meta.write_lazily(recording).await
    }

    /// Records pieces in one transaction, durably, on behalf of `actor`.
    ///
    /// # Errors
    /// As [`Self::record_lazily`], [`Error::BlobUnknown`] if a stored blob was collected meanwhile, and [`Error::NoCache`] if the
    /// pieces come from an upstream and the repository is one's own.
    pub async fn record(
        self,
        pieces: Vec<ImportPiece>,
        source: RepositorySource,
        actor: Actor,
    ) -> Result<(), Error> {
        let names = Names::SyncedFirst;
        let recording = recording(self.registry, pieces, names, source, actor.clone());
        self.registry.write(actor, |tx, _| recording(tx)).await
    }

    /// Returns all blobs that are damaged here, and not served.
    pub async fn damaged_blobs(self) -> Result<HashSet<Digest>, Error> {
        let (mut found, mut after) = (HashSet::new(), String::new());
        loop {
            let from = after.clone();
            let page = self
                .registry
                .scan(move |reader| reader.damaged_blobs(&from, &RepositoryScope::ALL, PAGE))
                .await?;
            let Some(last) = page.last() else {
                return Ok(found);
            };
            after = last.digest.to_string();
            found.extend(page.into_iter().map(|blob| blob.digest));
        }
    }

    /// Returns what is here of a repository of another registry.
    pub async fn present(self, repository: &RepositoryName) -> Result<Present, Error> {
        let repository = repository.clone();
        self.registry
            .scan(move |reader| {
                Ok(Present {
                    blobs: reader.blob_digests(&repository)?,
                    manifests: reader.whole_manifest_digests(&repository)?,
                    damaged: reader.damaged_manifest_digests(&repository)?,
                })
            })
            .await
    }
}

/// Content of a repository that is here already.
#[derive(Debug, Default)]
pub struct Present {
    pub blobs: HashSet<Digest>,
    /// Sound manifests without a gap.
    pub manifests: HashSet<Digest>,
    /// Damaged manifests, which come again.
    pub damaged: HashSet<Digest>,
}

/// Time at which new names of files become durable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Before the change is committed.
    SyncedFirst,
    /// At the end of the whole take-over.
    SyncedLater,
}

/// Returns the change that records pieces.
pub(super) fn recording(
    registry: &Registry,
    pieces: Vec<ImportPiece>,
    names: Names,
    source: RepositorySource,
    actor: Actor,
) -> impl FnOnce(&WriteTx<'_>) -> Result<(), Error> + Send + 'static {
    let (registry, settings) = (registry.clone(), registry.settings());
    move |tx| {
        let recording = Recording {
            tx,
            registry: &registry,
            settings: &settings,
            names,
            source: &source,
            actor: &actor,
            now: now(),
        };
        pieces
            .into_iter()
            .try_for_each(|piece| recording.record(piece))
    }
}

/// One change that records pieces.
struct Recording<'c> {
    tx: &'c WriteTx<'c>,
    registry: &'c Registry,
    settings: &'c RegistrySettings,
    names: Names,
    source: &'c RepositorySource,
    actor: &'c Actor,
    now: Millis,
}

impl Recording<'_> {
    fn record(&self, piece: ImportPiece) -> Result<(), Error> {
        let progress = &self.registry.import;
        match piece {
            ImportPiece::Blobs(repository, blobs) => {
                self.blobs(&repository, &blobs)?;
                progress.add_blobs(blobs.len());
            }
            ImportPiece::Stored(repository, digests) => {
                progress.add_blobs(digests.len());
                self.stored(&repository, &digests)?;
            }
            ImportPiece::Damaged(digest) => {
                let damage = Damage {
                    problem: "the file of the other registry had another size".to_owned(),
                    file: WithdrawnFile::Remove,
                };
                withdraw(self.tx, &digest, &damage)?;
            }
            ImportPiece::Manifests(repository, manifests) => {
                progress.add_manifests(manifests.len());
                let quota = self.quota();
                self.in_repository(&repository, |change| {
                    manifests
                        .into_iter()
                        .try_for_each(|manifest| record_manifest(change, manifest, quota))
                })?;
            }
            ImportPiece::Tags(repository, tags) => {
                self.in_repository(&repository, |change| {
                    tags.iter().try_for_each(|tag| record_tag(change, tag))
                })?;
                progress.add_tags(tags.len());
            }
            ImportPiece::End => progress.add_repository(),
        }
        Ok(())
    }

    /// Applies quotas to caches, but for a store that is taken over.
    fn quota(&self) -> QuotaCheck {
        match (self.source, self.names) {
            (RepositorySource::Upstream(_), Names::SyncedFirst) => QuotaCheck::Applied,
            _ => QuotaCheck::Skipped,
        }
    }

    fn repository(&self, name: &RepositoryName) -> Result<RepositoryId, Error> {
        match (
            self.tx.repository_for(name, self.source, self.now)?,
            self.names,
        ) {
            (Some(repository), _) => Ok(repository),
            // another configuration began the take-over
            (None, Names::SyncedLater) => Ok(self.tx.ensure_repository(name, self.now)?),
            (None, Names::SyncedFirst) => Err(Error::NoCache(name.clone())),
        }
    }

    fn blobs(&self, repository: &RepositoryName, blobs: &[ImportedBlob]) -> Result<(), Error> {
        let id = self.repository(repository)?;
        for imported in blobs {
            let blob = match self.tx.blob(&imported.digest)? {
                Some(blob) => blob,
                None => self.insert_blob(&imported.digest, &imported.source)?,
            };
            self.tx.link_blob(id, &imported.digest, blob, self.now)?;
        }
        let notes: Vec<_> = blobs.iter().filter_map(|blob| blob.note).collect();
        Ok(self.tx.forget_removals(&notes)?)
    }

    fn stored(&self, repository: &RepositoryName, digests: &[Digest]) -> Result<(), Error> {
        let id = self.repository(repository)?;
        for digest in digests {
            let blob = self.tx.blob(digest)?.ok_or_else(|| Error::BlobUnknown {
                repository: repository.clone(),
                digest: digest.clone(),
                needed_by: None,
            })?;
            self.tx.link_blob(id, digest, blob, self.now)?;
        }
        Ok(())
    }

    fn insert_blob(&self, digest: &Digest, source: &SourceFile) -> Result<BlobRow, Error> {
        let blobs = &self.registry.blobs;
        let linked = match self.names {
            Names::SyncedFirst => blobs.publish_source(source, digest),
            Names::SyncedLater => blobs.ensure_linked(source, digest),
        };
        linked.map_err(Error::Link)?;
        Ok(self
            .tx
            .insert_unverified_blob(digest, source.size, self.now)?)
    }

    fn in_repository(
        &self,
        name: &RepositoryName,
        work: impl FnOnce(&RepositoryChange<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        work(&RepositoryChange {
            tx: self.tx,
            id: self.repository(name)?,
            name,
            settings: self.settings,
            actor: self.actor,
            tag_changes: TagChanges::All,
            now: self.now,
        })
    }
}

/// Use of the repository's quota for a new manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuotaCheck {
    Applied,
    /// An owner imports.
    Skipped,
}

/// Records a manifest, which may have gaps: the other registry served it so, too. One that is damaged here is replaced.
pub(super) fn record_manifest(
    change: &RepositoryChange<'_>,
    imported: ImportedManifest,
    quota: QuotaCheck,
) -> Result<(), Error> {
    let ImportedManifest {
        manifest,
        new,
        pushed_at,
        is_child: _,
    } = imported;
    if let Some(present) = change.tx.manifest(change.id, &new.digest)? {
        if change.tx.is_damaged(present)? {
            change.record_manifest(&manifest.references, &new, Needed::Nothing)?;
        }
        return Ok(());
    }
    if quota == QuotaCheck::Applied {
        change.admit_by_quota(&new)?;
    }
    let id = change.insert_manifest(&manifest.references, &new, Needed::Nothing)?;
    Ok(change.tx.set_pushed_at(id, pushed_at.min(change.now))?)
}

/// Points a tag at its target, unless it was changed here or the target was left out.
pub(super) fn record_tag(change: &RepositoryChange<'_>, tag: &ImportedTag) -> Result<(), Error> {
    let (tx, id) = (change.tx, change.id);
    if tag.claim == TagClaim::New && tx.has_known_tag(change.name, &tag.name)? {
        return Ok(());
    }
    let Some(manifest) = tx.manifest(id, &tag.target)? else {
        return Ok(());
    };
    let target = TagTarget {
        manifest,
        digest: &tag.target,
    };
    let memory = tx.tag_memory(change.name, &tag.name, &tag.target)?;
    let retention = &change.settings.retention;
    if !matches!(
        TagFate::under_rules(&memory, tag, change.name, retention),
        TagFate::Set | TagFate::Moved(_)
    ) {
        return Ok(());
    }
    let since = tag.since.min(change.now);
    match tx.current_state(id, &tag.name)? {
        None => record_past(change, tag, since)?,
        Some(current) => {
            let between = tag
                .former
                .iter()
                .filter(|(_, time)| (current.since + 1..since).contains(time));
            for (digest, time) in between {
                if let Some(manifest) = tx.manifest(id, digest)? {
                    set_tag(change, tag, TagTarget { manifest, digest }, *time)?;
                }
            }
        }
    }
    set_tag(change, tag, target, since)
}

fn set_tag(
    change: &RepositoryChange<'_>,
    tag: &ImportedTag,
    target: TagTarget<'_>,
    since: Millis,
) -> Result<(), Error> {
    let origin = TagOrigin::import(since, tag.source);
    Ok(change
        .tx
        .set_tag(change.id, &tag.name, target, origin, change.actor, since)?)
}

/// Records the targets that a tag had before it was seen here first.
fn record_past(
    change: &RepositoryChange<'_>,
    tag: &ImportedTag,
    since: Millis,
) -> Result<(), Error> {
    let (tx, id) = (change.tx, change.id);
    let mut next = since;
    let mut former = Vec::new();
    for (digest, time) in tag.former.iter().rev() {
        if let Some(manifest) = tx.manifest(id, digest)? {
            let until = next;
            next = next.min(*time);
            former.push(FormerTarget {
                manifest,
                since: next,
                until,
            });
        }
    }
    former
        .into_iter()
        .rev()
        .try_for_each(|state| Ok(tx.add_former_target(id, &tag.name, state)?))
}
