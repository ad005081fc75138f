//! The trash: deleted manifests and removed tags, and restoring them.

use crate::events::EventKind;
use crate::meta::{
    Actor, ManifestId, Millis, NewManifest, RemovedTagRow, RepositorySource, TrashRow, millis, now,
};
use crate::oci::{Digest, Reference, RepositoryName, TagName};
use crate::registry::content::page::Page;
use crate::registry::content::push::change::{Needed, RepositoryChange};
use crate::registry::content::push::manifest::parse_manifest;
use crate::registry::content::undo::undo_end::not_in_trash;
use crate::registry::error::Error;
use crate::registry::facades::Trash;
use crate::registry::policy::retention::Retention;

/// Maximum length of a page.
const PAGE: usize = 1000;

/// Result of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub digest: Digest,
    /// Other manifests restored with it: its children, and the referrers of all of them.
    pub others: Vec<Digest>,
    /// Restored tags of all these manifests, except those set again since.
    pub tags: Vec<(String, Digest)>,
}

/// A manifest in the trash.
struct DeletedManifest {
    row: TrashRow,
    new: NewManifest,
    references: Vec<Reference>,
}

impl Trash<'_> {
    /// Lists deleted manifests that can be restored, of one repository or of all.
    pub async fn list(
        self,
        repository: Option<&RepositoryName>,
        after: String,
    ) -> Result<Page<TrashRow>, Error> {
        let repository = repository.cloned();
        let rows = self
            .registry
            .scan(move |meta| {
                meta.trash(
                    repository.as_ref(),
                    after.split_once('@').unwrap_or_default(),
                    PAGE + 1,
                )
            })
            .await?;
        Ok(Page::cut(rows, PAGE, |row| {
            format!("{}@{}", row.repository, row.digest)
        }))
    }

    /// Lists tags removed within the grace period whose manifests still exist, of one repository or
    /// of all.
    pub async fn removed_tags(
        self,
        repository: Option<&RepositoryName>,
        retention: &Retention,
        after: String,
    ) -> Result<Page<RemovedTagRow>, Error> {
        let (repository, since) = (
            repository.cloned(),
            now().saturating_sub(millis(retention.grace)),
        );
        let list = self.registry.scan(move |meta| {
            meta.removed_tags(
                repository.as_ref(),
                since,
                after.split_once(':').unwrap_or_default(),
                PAGE + 1,
            )
        });
        Ok(Page::cut(list.await?, PAGE, |row| {
            format!("{}:{}", row.repository, row.tag)
        }))
    }

    /// Returns the time until which the last deletion can be undone; `None` if none can.
    pub async fn last_undo(self, retention: &Retention) -> Result<Option<Millis>, Error> {
        let grace = millis(retention.grace);
        let since = now().saturating_sub(grace);
        let last = self.registry.scan(move |meta| {
            let mut last = meta.last_deletion_anywhere()?;
            let mut after = (String::new(), String::new());
            loop {
                let rows = meta.removed_tags(None, since, (&after.0, &after.1), PAGE)?;
                let Some(row) = rows.last() else {
                    return Ok(last.filter(|at| *at > since));
                };
                after = (row.repository.clone(), row.tag.clone());
                last = last.max(rows.iter().map(|row| row.removed_at).max());
            }
        });
        Ok(last.await?.map(|at| at.saturating_add(grace)))
    }

    /// Restores a deleted manifest with what it references and with its unused tags.
    ///
    /// # Errors
    /// [`Error::NothingToRestore`] if the manifest is not in the trash;
    /// [`Error::ReferencesUnknown`] if something that it references is gone.
    pub async fn restore(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        actor: Actor,
    ) -> Result<Restored, Error> {
        let (name, digest, settings) =
            (repository.clone(), digest.clone(), self.registry.settings());
        self.registry
            .write(actor, move |tx, actor| {
                if tx.repository(&name)?.is_none() {
                    return Err(not_in_trash(tx, None, &name, &digest)?);
                }
                let change = RepositoryChange::of_known(tx, &name, &settings, actor)?;
                let mut back = Vec::new();
                change.restore_manifest(&digest, &mut back)?;
                change.restore_referrers(&mut back)?;
                let mut tags = Vec::new();
                for (manifest, digest, tag) in back.iter().flat_map(|(manifest, row)| {
                    row.tags
                        .iter()
                        .map(move |tag| (*manifest, &row.digest, tag))
                }) {
                    if let Ok(parsed) = TagName::parse(tag)
                        && tx.tag_target(change.id, &parsed)?.is_none()
                    {
                        change.undo_tag_removal(&parsed, manifest, digest)?;
                        tags.push((tag.clone(), digest.clone()));
                    }
                }
                let others = back
                    .into_iter()
                    .map(|(_, row)| row.digest)
                    .filter(|other| *other != digest)
                    .collect();
                Ok(Restored {
                    digest,
                    others,
                    tags,
                })
            })
            .await
    }
}

impl RepositoryChange<'_> {
    /// Restores the referrers of restored manifests, and theirs; those that cannot be restored stay
    /// in the trash.
    fn restore_referrers(&self, back: &mut Vec<(ManifestId, TrashRow)>) -> Result<(), Error> {
        let mut next = 0;
        while let Some((_, row)) = back.get(next) {
            next += 1;
            for referrer in self.tx.trashed_referrers(self.id, &row.digest.clone())? {
                let before = back.len();
                // it may have been restored as a child of another one
                if self.tx.trashed(self.id, &referrer)?.is_some()
                    && let Err(error) = self.tx.attempt(|| self.restore_manifest(&referrer, back))
                {
                    back.truncate(before);
                    tracing::warn!(%error, %referrer, "cannot restore a referrer of a restored manifest");
                }
            }
        }
        Ok(())
    }

    /// Restores a deleted manifest, after its deleted children; adds all of them to `back`.
    ///
    /// Its blobs still exist: they stay for a grace period after their last use, even if they were
    /// removed from the repository meanwhile.
    pub(super) fn restore_manifest(
        &self,
        digest: &Digest,
        back: &mut Vec<(ManifestId, TrashRow)>,
    ) -> Result<ManifestId, Error> {
        let mut restored = None;
        // a list instead of calls inside each other: indexes may be nested to any depth
        let mut pending = vec![digest.clone()];
        while let Some(next) = pending.last() {
            let Some(deleted) = self.deleted(next)? else {
                if pending.len() == 1 {
                    return Err(not_in_trash(self.tx, Some(self.id), self.name, next)?);
                }
                // another index has named it as well
                pending.pop();
                continue;
            };
            let children = self.deleted_children(&deleted.references)?;
            if children.is_empty() {
                let manifest = self.restore_alone(deleted, back)?;
                restored = Some(manifest);
                pending.pop();
            } else {
                pending.extend(children.into_iter().rev());
            }
        }
        match restored {
            Some(manifest) => Ok(manifest),
            None => Err(not_in_trash(self.tx, Some(self.id), self.name, digest)?),
        }
    }

    /// Reads a manifest in the trash.
    fn deleted(&self, digest: &Digest) -> Result<Option<DeletedManifest>, Error> {
        let Some((row, bytes)) = self.tx.trashed(self.id, digest)? else {
            return Ok(None);
        };
        let (mut manifest, new) =
            parse_manifest(Some(digest.clone()), Some(&row.media_type), bytes.into())?;
        self.settings
            .manifest_rules
            .mark_optional_children(&mut manifest);
        // it was whole without them
        let is_unpulled =
            |digest: &Digest| row.unpulled.iter().any(|known| known == digest.as_str());
        for reference in &mut manifest.references {
            reference.is_optional |= is_unpulled(&reference.digest);
        }
        Ok(Some(DeletedManifest {
            row,
            new,
            references: manifest.references,
        }))
    }

    /// Lists children of an index that are in the trash only.
    fn deleted_children(&self, references: &[Reference]) -> Result<Vec<Digest>, Error> {
        let mut found = Vec::new();
        for reference in references.iter().filter(|reference| reference.is_child) {
            if self.tx.manifest(self.id, &reference.digest)?.is_none()
                && self.tx.trashed(self.id, &reference.digest)?.is_some()
            {
                found.push(reference.digest.clone());
            }
        }
        Ok(found)
    }

    /// Restores a deleted manifest whose children are there.
    fn restore_alone(
        &self,
        deleted: DeletedManifest,
        back: &mut Vec<(ManifestId, TrashRow)>,
    ) -> Result<ManifestId, Error> {
        let DeletedManifest {
            row,
            new,
            references,
        } = deleted;
        let source = self.tx.repository_source(self.name)?;
        let needed = match source {
            Some(RepositorySource::Upstream(_)) => Needed::PresentLinks,
            Some(RepositorySource::Own) | None => Needed::Links,
        };
        // a manifest that may lack blobs may name some that the repository never had: it proves no right to them
        let is_whole = matches!(needed, Needed::Links) && !self.settings.sparse;
        for reference in references
            .iter()
            .filter(|reference| !reference.is_optional && is_whole)
        {
            if let Some(blob) = self.tx.blob(&reference.digest)?
                && self.tx.manifest(self.id, &reference.digest)?.is_none()
            {
                self.tx
                    .link_blob(self.id, &reference.digest, blob, self.now)?;
            }
        }
        let restored = self.record_manifest(&references, &new, needed)?;
        self.tx.mark_unpulled_again(restored, &row.unpulled)?;
        if row.tags.is_empty() {
            self.tell_of(EventKind::ManifestRestored, restored, None)?;
        }
        back.push((restored, row));
        Ok(restored)
    }
}
