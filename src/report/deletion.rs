//! Deletions: their consequences, and how they are undone.

use serde::{Deserialize, Serialize};

use crate::registry::{
    Actor, Deletion, DeletionEffect, Dependent, Error, ManifestReference, Millis, Precondition,
    Registry, Retention, now,
};
use crate::report::selection::Selection;
use crate::report::values::Time;
use crate::report::viewer::Viewer;

/// A deletion, done or foreseen.
#[derive(Debug)]
pub struct DeletionReport {
    pub selection: Selection,
    pub effect: DeletionEffect,
}

/// A deletion as reports show it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletionItem {
    /// False if it is only foreseen.
    pub removed: bool,
    pub items: Vec<RemovedItem>,
    /// Signatures and other referrers that go along.
    pub referrers: Vec<DependentItem>,
    /// Number of manifests removed.
    pub manifest_count: u64,
    pub untagged: UntaggedCounts,
    /// `None` for whoever may not see all repositories.
    pub frees: Option<FreedItem>,
    pub undo: Option<UndoItem>,
    /// True if the server collects by itself.
    pub collects: bool,
}

/// A removed tag, or manifest without tags.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RemovedItem {
    pub repository: String,
    pub tag: Option<String>,
    pub digest: String,
}

/// A signature or another referrer that goes along.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DependentItem {
    pub repository: String,
    pub tag: Option<String>,
    pub digest: String,
    pub artifact_type: Option<String>,
    pub subject: String,
}

/// Manifests that lose their last tag.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UntaggedCounts {
    pub manifest_count: u64,
    /// Those of them that the rules keep forever.
    pub kept_count: u64,
}

/// Disk space that a deletion frees.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FreedItem {
    pub size: u64,
    pub blob_count: u64,
    /// Time at which all of it is freed.
    pub at: Option<Time>,
}

/// Undo of a deletion, as reports show it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UndoItem {
    /// One for each repository.
    pub commands: Vec<String>,
    pub until: Time,
}

/// Undo of a deletion.
#[derive(Clone, Debug)]
pub struct Undo {
    /// One for each repository.
    pub commands: Vec<String>,
    pub until: Millis,
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

    /// Converts it to what `docs/json.md` describes.
    pub fn item(&self, outcome: &Outcome, registry: &Registry, viewer: &Viewer) -> DeletionItem {
        let items = self.selection.items.iter().map(|item| RemovedItem {
            repository: item.repository.to_string(),
            tag: item.tag.clone(),
            digest: item.digest.to_string(),
        });
        let DeletionEffect {
            deleted,
            untagged,
            kept,
            removals: goes,
            dependents,
        } = &self.effect;
        let frees = FreedItem {
            size: goes.bytes,
            blob_count: goes.blobs,
            at: goes.last.filter(|_| goes.bytes > 0).map(Time),
        };
        let undo = match outcome {
            Outcome::Done(undo) => undo.as_ref(),
            Outcome::Foreseen => None,
        };
        DeletionItem {
            removed: matches!(outcome, Outcome::Done(_)),
            items: items.collect(),
            referrers: dependents.iter().map(dependent).collect(),
            manifest_count: *deleted,
            untagged: UntaggedCounts {
                manifest_count: *untagged,
                kept_count: *kept,
            },
            // it would tell what hidden repositories hold
            frees: Some(frees).filter(|_| viewer.sees_everything()),
            undo: undo.map(|undo| UndoItem {
                commands: undo.commands.clone(),
                until: Time(undo.until),
            }),
            collects: registry.settings().retention.enabled,
        }
    }
}

fn dependent(dependent: &Dependent) -> DependentItem {
    DependentItem {
        repository: dependent.repository.to_string(),
        tag: dependent.tag.as_ref().map(ToString::to_string),
        digest: dependent.digest.to_string(),
        artifact_type: dependent.kind.clone(),
        subject: dependent.subject.to_string(),
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
