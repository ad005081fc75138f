//! Going back in a tag's history.

use std::collections::{BTreeSet, HashSet};

use crate::meta::{
    self, Actor, HistoryCursor, ManifestId, Millis, Reader, RecordedState, RepositoryId,
    TagActivity, TagOrigin, TagTarget, lived, now,
};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::content::push::change::RepositoryChange;
use crate::registry::error::Error;
use crate::registry::facades::Tags;
use crate::registry::policy::retention::Retention;
use crate::registry::policy::rule_removal::RuleRemoval;

/// Maximum number of manifests that a refusal names as alternatives.
const MAX_ALTERNATIVES: usize = 5;

/// The state to restore a tag to.
#[derive(Clone, Debug)]
pub enum RestoreTarget {
    /// The target before the present one, or before the tag was removed.
    Previous,
    Digest(Digest),
    /// The target at this time.
    At(Millis),
}

/// Effect of a tag's restore.
#[derive(Clone, Debug)]
pub struct TagRestoration {
    /// Target before the restore; `None` if the tag was removed.
    pub was: Option<Digest>,
    pub digest: Digest,
    /// Time of the push from which the tag's age counts; `None` if the tag never pointed there.
    pub pushed_at: Option<Millis>,
    /// True if the manifest comes back from the trash.
    pub is_deleted: bool,
}

/// A tag of a repository, in one change or read.
struct TagView<'v> {
    meta: &'v Reader<'v>,
    repository: RepositoryId,
    name: &'v RepositoryName,
    tag: &'v TagName,
}

impl Tags<'_> {
    /// Points a tag at a former target, or at any other manifest of the repository.
    ///
    /// Restores the manifest if it was deleted. The tag keeps the age that it had with that target.
    ///
    /// # Errors
    /// [`Error::NothingToRestore`] if there is no such state, or its manifest is gone;
    /// [`Error::TagImmutable`] if the tag is immutable and points elsewhere.
    pub async fn restore(
        self,
        repository: &RepositoryName,
        tag: &TagName,
        to: RestoreTarget,
        actor: Actor,
    ) -> Result<TagRestoration, Error> {
        let (name, tag, settings) = (repository.clone(), tag.clone(), self.registry.settings());
        self.registry
            .write(actor, move |tx, actor| {
                let change = RepositoryChange::of_known(tx, &name, &settings, actor)?;
                let view = TagView {
                    meta: tx,
                    repository: change.id,
                    name: &name,
                    tag: &tag,
                };
                let (restoration, state) = view.plan(&to, &settings.retention)?;
                let manifest = match tx.manifest(change.id, &restoration.digest)? {
                    Some(manifest) => manifest,
                    None => change.restore_manifest(&restoration.digest, &mut Vec::new())?,
                };
                let origin = state.as_ref().map_or_else(
                    || TagOrigin::unrecorded_restore(change.now),
                    |state| TagOrigin::restore(state, change.now),
                );
                let target = TagTarget {
                    manifest,
                    digest: &restoration.digest,
                };
                change.set_tag(&tag, target, origin)?;
                Ok(restoration)
            })
            .await
    }

    /// Returns what [`Self::restore`] would do, and the rule that would remove the tag later; changes nothing.
    ///
    /// # Errors
    /// As for [`Self::restore`].
    pub async fn plan_restore(
        self,
        repository: &RepositoryName,
        tag: &TagName,
        to: RestoreTarget,
    ) -> Result<(TagRestoration, Vec<RuleRemoval>), Error> {
        let (name, tag, settings) = (repository.clone(), tag.clone(), self.registry.settings());
        let plan = move |meta: &Reader<'_>| {
            let Some(repository) = meta.repository(&name)? else {
                return Ok(Err(Error::NameUnknown(name)));
            };
            let view = TagView {
                meta,
                repository,
                name: &name,
                tag: &tag,
            };
            let (restoration, state) = match view.plan(&to, &settings.retention) {
                Ok(plan) => plan,
                Err(error) => return Ok(Err(error)),
            };
            let removals = view.planned_removals(&restoration, state, &settings.retention)?;
            Ok(Ok((restoration, removals)))
        };
        self.registry.scan(plan).await?
    }

    /// Lists which of the restored tags a rule removes after the grace period that began with the restore.
    pub async fn removals_of_restored(
        self,
        repository: &RepositoryName,
        tags: BTreeSet<String>,
    ) -> Result<Vec<RuleRemoval>, Error> {
        let (name, settings) = (repository.clone(), self.registry.settings());
        let list = move |meta: &Reader<'_>| {
            let all = meta.tag_activities_in(&name)?;
            let retention = &settings.retention;
            Ok(retention.removals_of_restored(name.as_str(), all, &tags))
        };
        self.registry.scan(list).await
    }

    /// Restores a removed tag with the manifest it pointed at last.
    ///
    /// # Errors
    /// [`Error::NothingToRestore`] if the tag exists, has no recorded removal, or its manifest is
    /// gone.
    pub async fn restore_removed(
        self,
        repository: &RepositoryName,
        tag: &TagName,
        actor: Actor,
    ) -> Result<Digest, Error> {
        let newest = self
            .history(repository, tag, None)
            .await?
            .items
            .into_iter()
            .next();
        if newest.is_some_and(|state| state.end.is_none()) {
            let remedy =
                format!("registry tag restore {repository}:{tag} restores its former target");
            return Err(Error::NothingToRestore(format!(
                "tag {tag} of {repository} was not removed: {remedy}"
            )));
        }
        let (TagRestoration { digest, .. }, _) = self
            .plan_restore(repository, tag, RestoreTarget::Previous)
            .await?;
        if let Err(error) = self
            .registry
            .trash()
            .restore(repository, &digest, actor.clone())
            .await
            && !matches!(error, Error::NothingToRestore(_))
        {
            return Err(error);
        }
        let (name, tag, wanted, settings) = (
            repository.clone(),
            tag.clone(),
            digest.clone(),
            self.registry.settings(),
        );
        self.registry
            .write(actor, move |tx, actor| {
                let change = RepositoryChange::of_known(tx, &name, &settings, actor)?;
                let manifest = match tx.manifest(change.id, &wanted)? {
                    Some(manifest) => manifest,
                    None => change.restore_manifest(&wanted, &mut Vec::new())?,
                };
                change.undo_tag_removal(&tag, manifest, &wanted)
            })
            .await?;
        Ok(digest)
    }
}

impl RepositoryChange<'_> {
    /// Points a removed tag at its last manifest again.
    pub(super) fn undo_tag_removal(
        &self,
        tag: &TagName,
        manifest: ManifestId,
        digest: &Digest,
    ) -> Result<(), Error> {
        let state = self
            .tx
            .find_state(self.id, tag, HistoryCursor::NEWEST, |state| {
                state.digest == *digest
            })?;
        let origin = state.map_or_else(
            || TagOrigin::unrecorded_restore(self.now),
            |state| TagOrigin::restore(&state, self.now),
        );
        self.set_tag(tag, TagTarget { manifest, digest }, origin)
    }
}

impl TagView<'_> {
    /// Returns the effect of a restore, with the state that it goes back to, if one is recorded.
    fn plan(
        &self,
        to: &RestoreTarget,
        retention: &Retention,
    ) -> Result<(TagRestoration, Option<RecordedState>), Error> {
        let current = self.meta.current_state(self.repository, self.tag)?;
        let (digest, state) = match to {
            RestoreTarget::Digest(digest) => {
                (digest.clone(), self.state_of(digest, current.as_ref())?)
            }
            RestoreTarget::At(time) => {
                let state = self.state_at(*time, current.as_ref())?;
                (state.digest.clone(), Some(state))
            }
            RestoreTarget::Previous => match self.previous(current.as_ref())? {
                Some(state) => (state.digest.clone(), Some(state)),
                None => return Err(self.nothing_earlier(current.as_ref())?),
            },
        };
        let was = current.map(|current| current.digest);
        if was.as_ref().is_some_and(|was| *was != digest) {
            retention.check_mutable(self.name, self.tag.as_str())?;
        }
        if !self.is_available(&digest)? {
            return Err(self.gone(&digest, was.as_ref())?);
        }
        let restoration = TagRestoration {
            is_deleted: self.meta.manifest(self.repository, &digest)?.is_none(),
            was,
            digest,
            pushed_at: state.as_ref().map(|state| state.pushed_at),
        };
        Ok((restoration, state))
    }

    /// Lists the removal of the tag by a rule, if it were restored now and one removed it.
    fn planned_removals(
        &self,
        restoration: &TagRestoration,
        state: Option<RecordedState>,
        retention: &Retention,
    ) -> Result<Vec<RuleRemoval>, meta::Error> {
        let Some(state) = state.filter(|_| restoration.was.as_ref() != Some(&restoration.digest))
        else {
            return Ok(Vec::new());
        };
        let mut tags = self.meta.tag_activities(self.repository)?;
        let name = self.tag.to_string();
        let present = tags.iter().position(|tag| tag.name == name);
        let (pulled_at, checked_at) = match present.map(|place| tags.swap_remove(place)) {
            Some(present) => (present.pulled_at, present.checked_at),
            None => (state.uses.pulled_at, state.uses.checked_at),
        };
        tags.push(TagActivity {
            name: name.clone(),
            pushed_at: lived(state.pushed_at),
            pulled_at,
            checked_at,
            restored_at: Some(now()),
        });
        let restored = BTreeSet::from([name]);
        Ok(retention.removals_of_restored(self.name.as_str(), tags, &restored))
    }

    /// Returns the state before the present one, in which the tag pointed at a manifest that was not
    /// yet gone back over; of a removed tag, its last state.
    ///
    /// A state that comes from a restore counts as the one that it restored, so that each restore
    /// goes one manifest further back, instead of to and fro between two.
    fn previous(
        &self,
        current: Option<&RecordedState>,
    ) -> Result<Option<RecordedState>, meta::Error> {
        let Some(current) = current else {
            return self.find(HistoryCursor::NEWEST, |_| true);
        };
        let mut passed = HashSet::from([current.digest.clone()]);
        if current.restored_from.is_some() {
            // the restores that led here, and the push from which the first of them went back
            let mut reached = current.origin();
            self.find(HistoryCursor::NEWEST, |state| {
                let is_pushed = state.restored_from.is_none();
                let is_on_the_way = is_pushed || state.origin() >= reached;
                if is_on_the_way {
                    passed.insert(state.digest.clone());
                    reached = state.origin();
                }
                is_pushed || !is_on_the_way
            })?;
        }
        self.find(current.origin(), |state| !passed.contains(&state.digest))
    }

    fn state_of(
        &self,
        digest: &Digest,
        current: Option<&RecordedState>,
    ) -> Result<Option<RecordedState>, meta::Error> {
        match current.filter(|current| current.digest == *digest) {
            Some(current) => Ok(Some(current.clone())),
            None => self.find(HistoryCursor::NEWEST, |state| state.digest == *digest),
        }
    }

    fn state_at(
        &self,
        time: Millis,
        current: Option<&RecordedState>,
    ) -> Result<RecordedState, Error> {
        if let Some(current) = current.filter(|current| current.since <= time) {
            return Ok(current.clone());
        }
        let found = self.find(HistoryCursor::NEWEST, |state| {
            state.since <= time && state.until.is_some_and(|until| time < until)
        })?;
        found.ok_or_else(|| {
            Error::NothingToRestore(format!(
                "tag {} of {} has no recorded state of that time: registry tag history {}:{} lists its states",
                self.tag, self.name, self.name, self.tag
            ))
        })
    }

    fn find(
        &self,
        before: HistoryCursor,
        is_wanted: impl FnMut(&RecordedState) -> bool,
    ) -> Result<Option<RecordedState>, meta::Error> {
        self.meta
            .find_state(self.repository, self.tag, before, is_wanted)
    }

    /// True if a tag can be pointed at the manifest: it is stored, or in the trash.
    fn is_available(&self, digest: &Digest) -> Result<bool, meta::Error> {
        Ok(self.meta.manifest(self.repository, digest)?.is_some()
            || self.meta.trashed(self.repository, digest)?.is_some())
    }

    fn nothing_earlier(&self, current: Option<&RecordedState>) -> Result<Error, meta::Error> {
        let (tag, name) = (self.tag, self.name);
        let Some(current) = current else {
            return Ok(Error::NothingToRestore(format!(
                "{name} has no tag {tag}, and no history of it: registry ls {name} lists its tags"
            )));
        };
        let remedy = self.alternatives(Some(&current.digest))?;
        Ok(Error::NothingToRestore(format!(
            "tag {tag} of {name} points at {}, and nothing earlier is recorded: {remedy}",
            current.digest
        )))
    }

    fn gone(&self, digest: &Digest, current: Option<&Digest>) -> Result<Error, meta::Error> {
        let remedy = self.alternatives(current)?;
        Ok(Error::NothingToRestore(
            match self.meta.undo_end(self.name, digest)? {
                Some(end) => format!(
                    "{digest} of {} was deleted, and its undo ended on {end}; {remedy}",
                    self.name
                ),
                None => format!(
                    "{digest} is neither in {} nor in its trash: it was never there, or was deleted longer ago than the grace \
                     period; {remedy}",
                    self.name
                ),
            },
        ))
    }

    /// Says which manifests the tag can be pointed at instead of `current`.
    fn alternatives(&self, current: Option<&Digest>) -> Result<String, meta::Error> {
        let mut seen: HashSet<Digest> = current.cloned().into_iter().collect();
        let mut available = Vec::new();
        let mut failure = None;
        self.find(HistoryCursor::NEWEST, |state| {
            if seen.insert(state.digest.clone()) {
                match self.is_available(&state.digest) {
                    Ok(true) => available.push(state.digest.to_string()),
                    Ok(false) => {}
                    Err(error) => failure = Some(error),
                }
            }
            failure.is_some() || available.len() == MAX_ALTERNATIVES
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        Ok(match &available[..] {
            [] => format!(
                "registry ls {} lists the manifests that --to can name",
                self.name
            ),
            some => format!(
                "it has also pointed at {}, to which --to DIGEST moves it",
                some.join(", ")
            ),
        })
    }
}
