//! Deletions: their items, their consequences, and how they are undone.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::{
    Actor, Deletion, DeletionEffect, Dependent, Error, ManifestReference, Millis, Precondition,
    Registry, Retention, now,
};
use crate::report::values::Time;
use crate::report::viewer::Viewer;

/// A selected tag or manifest.
#[derive(Clone, Debug)]
pub struct SelectedItem {
    pub repository: RepositoryName,
    /// `None` for a manifest without tags.
    pub tag: Option<String>,
    pub digest: Digest,
}

/// Selected content: items to show, deletions for the operations.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub items: Vec<SelectedItem>,
    pub deletions: Vec<(RepositoryName, Deletion)>,
}

/// A deletion, done or foreseen.
#[derive(Debug)]
pub struct DeletionReport {
    pub selection: Selection,
    pub effect: DeletionEffect,
}

/// Undo of a deletion.
#[derive(Clone, Debug)]
pub struct Undo {
    /// One for each repository.
    pub commands: Vec<String>,
    pub until: Millis,
}

impl Selection {
    /// Selects a tag, or a manifest with its tags.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::InUse`] for a manifest that an index needs.
    pub async fn of(
        registry: &Registry,
        repository: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<Self, Error> {
        let mut selection = Self::default();
        match reference {
            ManifestReference::Tag(tag) => {
                let manifest = registry.manifests().get(repository, reference).await?;
                let tags = Deletion::Tags(vec![tag.clone()]);
                selection.add(repository, Some(tag.as_str()), &manifest.digest);
                selection.deletions.push((repository.clone(), tags));
            }
            ManifestReference::Digest(digest) => {
                selection.add_manifest(registry, repository, digest).await?;
            }
        }
        Ok(selection)
    }

    /// Adds an item.
    pub fn add(&mut self, repository: &RepositoryName, tag: Option<&str>, digest: &Digest) {
        self.items.push(SelectedItem {
            repository: repository.clone(),
            tag: tag.map(str::to_owned),
            digest: digest.clone(),
        });
    }

    /// Adds a manifest with its tags.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub async fn add_manifest(
        &mut self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), Error> {
        let reference = ManifestReference::Digest(digest.clone());
        let description = registry
            .manifests()
            .describe(repository, &reference)
            .await?;
        if let Some(holder) = description.parents.into_iter().next() {
            return Err(Error::InUse {
                digest: digest.clone(),
                holder,
            });
        }
        for tag in &description.tags {
            self.add(repository, Some(tag), digest);
        }
        if description.tags.is_empty() {
            self.add(repository, None, digest);
        }
        let deletion = Deletion::Manifest(digest.clone());
        self.deletions.push((repository.clone(), deletion));
        Ok(())
    }

    /// Rejects immutable tags before anything is shown or removed, rather than halfway.
    ///
    /// # Errors
    /// [`Error::TagImmutable`].
    pub fn check_mutable(&self, retention: &Retention) -> Result<(), Error> {
        let tags = self.items.iter().filter_map(|item| {
            let tag = item.tag.as_deref()?;
            Some((&item.repository, tag))
        });
        let mut checked = tags.map(|(repository, tag)| retention.check_mutable(repository, tag));
        checked.try_for_each(|checked| checked)
    }

    /// Leaves out dependents that are among the selected content.
    fn unselected(&self, dependents: Vec<Dependent>) -> Vec<Dependent> {
        let selected: HashSet<_> = self
            .items
            .iter()
            .map(|item| (&item.repository, item.tag.as_deref(), &item.digest))
            .collect();
        let is_other = |dependent: &Dependent| {
            let tag = dependent.tag.as_ref().map(TagName::as_str);
            !selected.contains(&(&dependent.repository, tag, &dependent.digest))
        };
        dependents.into_iter().filter(is_other).collect()
    }
}

/// Foresees a deletion.
///
/// # Errors
/// [`Error::TagImmutable`], and those of the database.
pub async fn foresee_deletion(
    registry: &Registry,
    selection: Selection,
) -> Result<DeletionReport, Error> {
    let settings = registry.settings();
    selection.check_mutable(&settings.retention)?;
    let deletions = selection.deletions.clone();
    let reports = registry.reports();
    let effect = reports.preview_deletion(deletions, &settings.retention);
    let mut effect = effect.await?;
    effect.dependents = selection.unselected(effect.dependents);
    Ok(DeletionReport { selection, effect })
}

impl DeletionReport {
    /// Deletes.
    ///
    /// # Errors
    /// [`Error::DeleteDisabled`], [`Error::InUse`], [`Error::TagImmutable`], and those of the database.
    pub async fn delete(&self, registry: &Registry, actor: Actor) -> Result<(), Error> {
        for (repository, deletion) in &self.selection.deletions {
            let actor = actor.clone();
            match deletion {
                Deletion::Everything => registry.repositories().delete(repository, actor).await?,
                Deletion::Manifest(digest) => {
                    let reference = ManifestReference::Digest(digest.clone());
                    let condition = Precondition::default();
                    let manifests = registry.manifests();
                    manifests
                        .delete(repository, &reference, condition, actor)
                        .await?;
                }
                Deletion::Tags(tags) => registry.tags().delete(repository, tags, actor).await?,
            }
        }
        Ok(())
    }

    /// Converts it to JSON; `undo` is that of a deletion that was done, if there is one.
    pub fn as_json(&self, outcome: &Outcome, viewer: &Viewer) -> Value {
        let items = self.selection.items.iter().map(|item| {
            json!({ "repository": item.repository.as_str(), "tag": item.tag, "digest": item.digest.as_str() })
        });
        let DeletionEffect {
            deleted,
            untagged,
            kept,
            removals: goes,
            dependents,
        } = &self.effect;
        let dependents = dependents.iter().map(|dependent| {
            json!({
                "repository": dependent.repository.as_str(),
                "tag": dependent.tag.as_ref().map(TagName::as_str),
                "digest": dependent.digest.as_str(),
                "artifactType": dependent.kind,
                "subject": dependent.subject.as_str(),
            })
        });
        let frees = json!({
            "size": goes.bytes, "blobCount": goes.blobs,
            "at": goes.last.filter(|_| goes.bytes > 0).map(Time),
        });
        let undo = match outcome {
            Outcome::Done(undo) => undo.as_ref(),
            Outcome::Foreseen => None,
        };
        json!({
            "removed": matches!(outcome, Outcome::Done(_)),
            "items": items.collect::<Vec<_>>(),
            "referrers": dependents.collect::<Vec<_>>(),
            "manifestCount": deleted,
            "untagged": { "manifestCount": untagged, "keptCount": kept },
            // it would tell what hidden repositories hold
            "frees": Some(frees).filter(|_| viewer.sees_everything()),
            "undo": undo.map(|undo| json!({ "commands": undo.commands, "until": Time(undo.until) })),
        })
    }
}

/// Outcome of a deletion.
#[derive(Clone, Debug)]
pub enum Outcome {
    Foreseen,
    /// Done, with its undo if there is a grace period.
    Done(Option<Undo>),
}

impl Undo {
    /// Returns the undo of a deletion that happens now, with the flags that name the store; `None` without a grace period.
    pub fn of(selection: &Selection, flags: &str, retention: &Retention) -> Option<Self> {
        let commands = selection.deletions.iter().map(|(name, deletion)| {
            let part = match deletion {
                Deletion::Manifest(digest) => format!("@{digest}"),
                Deletion::Tags(tags) if tags.len() == 1 => format!(":{}", tags[0]),
                Deletion::Everything | Deletion::Tags(_) => String::new(),
            };
            format!("registry restore {name}{part}{flags}")
        });
        Some(Self {
            commands: commands.collect(),
            until: undo_until(retention)?,
        })
    }
}

/// Returns the time until which a change of now can surely be undone; `None` without a grace period.
pub fn undo_until(retention: &Retention) -> Option<Millis> {
    let grace = Millis::try_from(retention.grace.as_millis()).unwrap_or(Millis::MAX);
    (grace > 0).then(|| now().saturating_add(grace))
}
