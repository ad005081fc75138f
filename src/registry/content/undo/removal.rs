//! Removals of tags, manifests and repositories that are not there any more.

use crate::meta::{self, Actor, HistoryCursor, Millis, Reader, RepositoryId, UndoEnd, millis, now};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::facades::Trash;
use crate::registry::policy::retention::Retention;

/// A removal, as far as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Time and author; `None` once they are forgotten.
    pub removed: Option<(Millis, Actor)>,
    pub undo: Undo,
}

/// Possibility of undoing a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// It can, until this time.
    Until(Millis),
    /// It can, although the grace period is over.
    Possible,
    Ended(Option<UndoEnd>),
}

/// A repository and the rules, in one read.
struct RemovalView<'v> {
    meta: &'v Reader<'v>,
    name: &'v RepositoryName,
    retention: &'v Retention,
}

impl Trash<'_> {
    /// Returns the removal of a tag, of a manifest, or of a whole repository; `None` if none is recorded.
    pub async fn removal_of(
        self,
        repository: &RepositoryName,
        reference: Option<&ManifestReference>,
    ) -> Result<Option<Removal>, Error> {
        let (name, reference) = (repository.clone(), reference.cloned());
        let settings = self.registry.settings();
        let find = move |meta: &Reader<'_>| {
            let view = RemovalView {
                meta,
                name: &name,
                retention: &settings.retention,
            };
            match (meta.repository(&name)?, &reference) {
                (Some(id), None) => view.repository(id),
                (Some(id), Some(ManifestReference::Digest(digest))) => view.manifest(id, digest),
                (Some(id), Some(ManifestReference::Tag(tag))) => view.tag(id, tag),
                (None, Some(ManifestReference::Digest(digest))) => view.ended(digest),
                (None, None) => view.ended_repository(),
                (None, Some(ManifestReference::Tag(_))) => Ok(None),
            }
        };
        self.registry.scan(find).await
    }
}

impl RemovalView<'_> {
    fn repository(&self, id: RepositoryId) -> Result<Option<Removal>, meta::Error> {
        match self.meta.last_deletion(id)? {
            Some((at, by)) => Ok(Some(self.undoable(at, by))),
            None => self.ended_repository(),
        }
    }

    fn manifest(&self, id: RepositoryId, digest: &Digest) -> Result<Option<Removal>, meta::Error> {
        match self.meta.trashed(id, digest)? {
            Some((row, _)) => Ok(Some(self.undoable(row.deleted_at, row.deleted_by))),
            None => self.ended(digest),
        }
    }

    fn tag(&self, id: RepositoryId, tag: &TagName) -> Result<Option<Removal>, meta::Error> {
        let newest = self
            .meta
            .tag_history(self.name, tag, HistoryCursor::NEWEST, 1)?;
        let Some((_, state)) = newest.into_iter().next() else {
            return Ok(None);
        };
        let Some(end) = state.end.filter(|end| end.is_deletion) else {
            return Ok(None);
        };
        let undo = if self.meta.manifest(id, &state.digest)?.is_some() {
            match self.grace_end(end.at) {
                until if until > now() => Undo::Until(until),
                _ => Undo::Possible,
            }
        } else if let Some((row, _)) = self.meta.trashed(id, &state.digest)? {
            Undo::Until(self.grace_end(row.deleted_at))
        } else {
            Undo::Ended(self.meta.undo_end(self.name, &state.digest)?)
        };
        Ok(Some(Removal {
            removed: Some((end.at, end.by)),
            undo,
        }))
    }

    fn undoable(&self, at: Millis, by: Actor) -> Removal {
        Removal {
            removed: Some((at, by)),
            undo: Undo::Until(self.grace_end(at)),
        }
    }

    fn grace_end(&self, removed_at: Millis) -> Millis {
        removed_at.saturating_add(millis(self.retention.grace))
    }

    fn ended(&self, digest: &Digest) -> Result<Option<Removal>, meta::Error> {
        Ok(self.meta.undo_end(self.name, digest)?.map(forgotten))
    }

    fn ended_repository(&self) -> Result<Option<Removal>, meta::Error> {
        Ok(self.meta.last_undo_end(Some(self.name))?.map(forgotten))
    }
}

fn forgotten(end: UndoEnd) -> Removal {
    Removal {
        removed: None,
        undo: Undo::Ended(Some(end)),
    }
}
