//! Tag history, and restoring a tag's former target.

use crate::meta::{Actor, HistoryCursor, Millis, TagState};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::content::page::Page;
use crate::registry::content::push::change::RepositoryChange;
use crate::registry::error::Error;
use crate::registry::facades::Tags;

/// Maximum number of states in a page.
const PAGE: usize = 1000;

/// The state to restore a tag to.
#[derive(Clone, Debug)]
pub enum RestoreTarget {
    /// The target before the present one, or before the tag was removed.
    Previous,
    Digest(Digest),
    /// The target at this time.
    At(Millis),
}

impl Tags<'_> {
    /// Lists the states of a tag, newest first; the present state has no end.
    ///
    /// `before` is the cursor of the last page.
    pub async fn history(
        self,
        repository: &RepositoryName,
        tag: &TagName,
        before: Option<HistoryCursor>,
    ) -> Result<Page<TagState>, Error> {
        let (repository, tag) = (repository.clone(), tag.clone());
        let rows = self
            .registry
            .scan(move |meta| {
                meta.tag_history(
                    &repository,
                    &tag,
                    before.unwrap_or(HistoryCursor::NEWEST),
                    PAGE,
                )
            })
            .await?;
        let next = rows
            .last()
            .filter(|_| rows.len() == PAGE)
            .map(|(id, _)| id.to_string());
        Ok(Page {
            items: rows.into_iter().map(|(_, state)| state).collect(),
            next,
        })
    }

    /// Points a tag at a former target, or at any other manifest of the repository.
    ///
    /// Restores the manifest if it was deleted. Returns its digest.
    pub async fn restore(
        self,
        repository: &RepositoryName,
        tag: &TagName,
        to: RestoreTarget,
        actor: Actor,
    ) -> Result<Digest, Error> {
        let digest = self.find_state(repository, tag, to).await?;
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
                change.set_tag(&tag, manifest)
            })
            .await?;
        Ok(digest)
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
        let digest = self
            .find_state(repository, tag, RestoreTarget::Previous)
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
        self.restore(repository, tag, RestoreTarget::Digest(digest), actor)
            .await
    }

    async fn find_state(
        self,
        repository: &RepositoryName,
        tag: &TagName,
        to: RestoreTarget,
    ) -> Result<Digest, Error> {
        if let RestoreTarget::Digest(digest) = to {
            return Ok(digest);
        }
        let mut before = None;
        loop {
            let page = self.history(repository, tag, before).await?;
            let found = page
                .items
                .into_iter()
                .find(|state| match (&to, &state.end) {
                    (RestoreTarget::Previous, end) => end.is_some(),
                    (RestoreTarget::At(time), None) => state.since <= *time,
                    (RestoreTarget::At(time), Some(end)) => state.since <= *time && *time < end.at,
                    (RestoreTarget::Digest(_), _) => false,
                });
            before = match (found, page.next) {
                (Some(state), _) => return Ok(state.digest),
                (None, Some(next)) => next.parse().ok(),
                (None, None) => {
                    return Err(Error::NothingToRestore(format!(
                        "tag {tag} of {repository} has no such recorded state: registry tag history lists its states"
                    )));
                }
            };
        }
    }
}
