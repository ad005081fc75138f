//! Previews of deletions and of tag policies, without a change.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::meta::{self, HeldManifest, Millis, Reader, TagActivity, TagRow, lived, now};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::content::page::Page;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::facades::Reports;
use crate::registry::policy::keep_untagged::KeepUntagged;
use crate::registry::policy::retention::Retention;
use crate::registry::policy::tag_policy::{NewestTags, TagRanks};
use crate::registry::policy::tag_policy::{Policy, TagDecision};
use crate::registry::report::dependents::{self, Dependent};
use crate::registry::report::losses::Going;
use crate::registry::report::removal::RemovalTotals;
use crate::registry::report::simulation::{Simulation, UntagEffect};

/// Maximum number of manifests or tags read at once.
const BATCH: usize = 1000;

/// A deletion in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// All tags and manifests.
    Everything,
    /// A manifest with its tags.
    Manifest(Digest),
    /// Tags alone.
    Tags(Vec<TagName>),
}

impl From<ManifestReference> for Deletion {
    fn from(reference: ManifestReference) -> Self {
        match reference {
            ManifestReference::Tag(tag) => Self::Tags(vec![tag]),
            ManifestReference::Digest(digest) => Self::Manifest(digest),
        }
    }
}

/// Effect of deletions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletionEffect {
    /// Manifests that are deleted themselves.
    pub deleted: u64,
    /// Manifests left without a holder once their tags are deleted; the rules decide how long they
    /// stay.
    pub untagged: u64,
    /// Those of them that the rules keep forever.
    pub kept: u64,
    /// Removals that the deletions cause or bring forward.
    pub removals: RemovalTotals,
    /// Signatures and other referrers among them, or removed after them.
    pub dependents: Vec<Dependent>,
}

/// The policy of a repository, prepared for decisions about its tags.
#[derive(Clone, Debug)]
pub struct PolicyPreview {
    /// Glob of the policy that applies; `None` if no policy matches.
    pub policy: Option<String>,
    pub untagged: KeepUntagged,
    rules: Option<Arc<TagRules>>,
}

#[derive(Debug)]
struct TagRules {
    policy: Policy,
    ranks: TagRanks,
    grace: Duration,
    /// Time for which is decided.
    at: Millis,
}

impl TagRules {
    fn decide(&self, row: TagRow) -> TagDecision {
        let tag = as_tag_activity(row);
        self.policy
            .decide_one(tag, self.grace, self.at, &self.ranks)
    }
}

impl PolicyPreview {
    /// Decides about a tag; `None` if no policy applies to its repository.
    pub(super) fn decide(&self, row: TagRow) -> Option<TagDecision> {
        self.rules.as_ref().map(|rules| rules.decide(row))
    }
}

impl Reports<'_> {
    /// Previews the combined effect of deletions.
    pub async fn preview_deletion(
        self,
        deletions: Vec<(RepositoryName, Deletion)>,
        retention: &Retention,
    ) -> Result<DeletionEffect, Error> {
        let retention = retention.clone();
        self.registry
            .scan(move |meta| {
                let now = now();
                let within: BTreeSet<_> = deletions
                    .iter()
                    .map(|(repository, _)| repository.to_string())
                    .collect();
                let mut anyway = Simulation::new(meta, &retention, None);
                anyway.collect_in(now, &within)?;
                let anyway: HashMap<_, _> = anyway
                    .removals
                    .iter()
                    .map(|removal| (removal.key(), removal.at))
                    .collect();
                let simulation = Simulation::new(meta, &retention, None);
                let mut deletion_run = DeletionSimulation {
                    meta,
                    now,
                    simulation,
                    consequence: DeletionEffect::default(),
                };
                for (repository, deletion) in &deletions {
                    match deletion {
                        Deletion::Everything => deletion_run.everything(repository)?,
                        Deletion::Manifest(digest) => deletion_run.manifests(
                            meta.manifest_in(repository, digest)?.into_iter().collect(),
                        )?,
                        Deletion::Tags(tags) => deletion_run.tags(repository, tags)?,
                    }
                }
                let DeletionSimulation {
                    mut simulation,
                    consequence,
                    ..
                } = deletion_run;
                // what is removed anyway may be removed sooner now, or take more along
                simulation.collect_in(now, &within)?;
                let sooner: Vec<_> = simulation
                    .removals
                    .iter()
                    .filter(|removal| anyway.get(&removal.key()).is_none_or(|at| removal.at < *at))
                    .collect();
                Ok(DeletionEffect {
                    dependents: dependents::of_removed(meta, &sooner)?,
                    removals: RemovalTotals::of(sooner.into_iter()),
                    ..consequence
                })
            })
            .await
    }

    /// Prepares the policy of a repository, as at a time, for [`Self::preview_tags`].
    ///
    /// Holds the names of the tags that the rules keep by number, and no others.
    pub async fn preview_policy(
        self,
        repository: &RepositoryName,
        retention: &Retention,
        at: Millis,
    ) -> Result<PolicyPreview, Error> {
        let untagged = retention.untagged_rule(repository.as_str());
        let Some(policy) = retention.policy(repository.as_str()).cloned() else {
            return Ok(PolicyPreview {
                policy: None,
                untagged,
                rules: None,
            });
        };
        let (name, grace) = (repository.clone(), retention.grace);
        let seen = self.registry.scan(move |meta| {
            let (mut newest, mut after) = (NewestTags::default(), String::new());
            loop {
                let tags = meta.tags(&name, &after, BATCH)?;
                let Some(last) = tags.last() else {
                    return Ok((policy, newest.rank()));
                };
                after.clone_from(&last.name);
                tags.into_iter()
                    .for_each(|tag| policy.record(&as_tag_activity(tag), &mut newest));
            }
        });
        let (policy, ranks) = seen.await?;
        let pattern = policy.repositories.to_string();
        Ok(PolicyPreview {
            policy: Some(pattern),
            untagged,
            rules: Some(Arc::new(TagRules {
                policy,
                ranks,
                grace,
                at,
            })),
        })
    }

    /// Lists the decisions about the tags of a repository, by name, after `after`.
    pub async fn preview_tags(
        self,
        repository: &RepositoryName,
        preview: &PolicyPreview,
        after: String,
    ) -> Result<Page<TagDecision>, Error> {
        let (name, rules) = (repository.clone(), preview.rules.clone());
        self.registry
            .scan(move |meta| {
                let rows = Page::cut(meta.tags(&name, &after, BATCH + 1)?, BATCH, |row| {
                    row.name.clone()
                });
                let decide = |row: TagRow| match &rules {
                    Some(rules) => rules.decide(row),
                    None => {
                        let reason = "no policy matches the repository".to_owned();
                        TagDecision {
                            tag: row.name,
                            is_kept: true,
                            reason,
                            rule: None,
                            until: None,
                        }
                    }
                };
                Ok(Page {
                    items: rows.items.into_iter().map(decide).collect(),
                    next: rows.next,
                })
            })
            .await
    }
}

/// Reduces a tag to what the rules look at.
fn as_tag_activity(row: TagRow) -> TagActivity {
    TagActivity {
        name: row.name,
        pushed_at: lived(row.pushed_at),
        pulled_at: row.pulled_at.map(lived),
        checked_at: row.checked_at.map(lived),
        restored_at: row.restored_at.map(lived),
    }
}

struct DeletionSimulation<'m> {
    meta: &'m Reader<'m>,
    now: Millis,
    simulation: Simulation<'m>,
    consequence: DeletionEffect,
}

impl DeletionSimulation<'_> {
    fn manifests(&mut self, manifests: Vec<HeldManifest>) -> Result<(), meta::Error> {
        self.consequence.deleted += manifests.len() as u64;
        self.simulation
            .remove_manifests(manifests, &Going::by_hand(self.now))
    }

    fn everything(&mut self, repository: &RepositoryName) -> Result<(), meta::Error> {
        let mut all: Vec<HeldManifest> = Vec::new();
        loop {
            let after = all.last().map_or("", |last| last.digest.as_str());
            let some = self.meta.manifests_in(repository, after, BATCH)?;
            if some.is_empty() {
                return self.manifests(all);
            }
            all.extend(some);
        }
    }

    fn tags(&mut self, repository: &RepositoryName, tags: &[TagName]) -> Result<(), meta::Error> {
        for tag in tags {
            if let Some(manifest) = self.meta.held_by_tag(repository, tag)? {
                let effect = self.simulation.remove_tag(manifest, tag, self.now)?;
                self.consequence.untagged += u64::from(effect != UntagEffect::StillHeld);
                self.consequence.kept += u64::from(effect == UntagEffect::KeptForever);
            }
        }
        Ok(())
    }
}
