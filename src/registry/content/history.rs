//! What tags pointed at, and putting them back there.

use crate::meta::{Actor, Millis, NEWEST, TagState, now};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::content::page::Page;
use crate::registry::content::push::set_tag;
use crate::registry::content::trash::restore_manifest;
use crate::registry::error::Error;
use crate::registry::slices::Tags;

/// The longest page of a history.
const PAGE: usize = 1000;

/// Where a tag is to be put back.
#[derive(Clone, Debug)]
pub enum RestoreTarget {
    /// What it pointed at before its present state, or before it was removed.
    Previous,
    Digest(Digest),
    /// What it pointed at then.
    At(Millis),
}

impl Tags<'_> {
    /// The states of a tag, newest first; the present one, if there is one, has no end.
    ///
    /// `before` is where the last page ended.
    pub async fn history(
        self,
        repository: &RepositoryName,
        tag: &TagName,
        before: Option<i64>,
    ) -> Result<Page<TagState>, Error> {
        let (repository, tag) = (repository.clone(), tag.clone());
        let rows = self
            .registry
            .scan(move |meta| meta.tag_history(&repository, &tag, before.unwrap_or(NEWEST), PAGE))
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

    /// Points a tag at what it pointed at before, or at any other manifest of the repository; brings that back, if it was
    /// deleted. Gives its digest.
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
                let repository = tx
                    .repository(&name)?
                    .ok_or_else(|| Error::NameUnknown(name.clone()))?;
                let now = now();
                let manifest = match tx.manifest(repository, &wanted)? {
                    Some(manifest) => manifest,
                    None => restore_manifest(
                        tx,
                        repository,
                        &name,
                        &wanted,
                        &settings,
                        now,
                        &mut Vec::new(),
                    )?,
                };
                let policy = settings.retention.policy(name.as_str());
                set_tag(tx, &name, repository, &tag, manifest, policy, actor, now)
            })
            .await?;
        Ok(digest)
    }

    /// Brings back what was deleted last under a tag that is not there.
    ///
    /// # Errors
    /// Where the tag is there, or was not removed as far as is remembered, or its manifest is gone for good.
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
            let remedy = format!(
                "registry tag restore {repository}:{tag} points it at what it pointed at before"
            );
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
                        "no such state of tag {tag} of {repository} is remembered: registry tag history lists those that are"
                    )));
                }
            };
        }
    }
}
