//! Reasons why content is kept: its holders, and theirs, up to tags, leases and rules.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::meta::{self, Damaged, HeldManifest, Millis, Reader, TrashRow, millis, now};
use crate::oci::{Digest, RepositoryName};
use crate::registry::content::cached_image::{CachedImage, cached_image};
use crate::registry::content::visibility::Visibility;
use crate::registry::error::Error;
use crate::registry::facades::Reports;
use crate::registry::policy::keep_untagged::KeepUntagged;
use crate::registry::policy::retention::Retention;
use crate::registry::policy::tag_policy::TagDecision;
use crate::registry::report::damage::MAX_PIECES;
use crate::registry::report::removal::{PlannedRemoval, RemovalKind};
use crate::registry::report::simulation::Simulation;
use crate::registry::verify::finding::image_names;

/// Maximum number of reported chains, shortest first.
const MAX_CHAINS: usize = 20;
/// Maximum number of visited manifests; chains beyond those reported are counted.
const MAX_VISITED: usize = 1000;
/// Maximum length of a chain.
const MAX_DEPTH: usize = 5000;
/// Maximum number of reported tags of one manifest.
const MAX_TAGS: usize = 5;

/// Reasons why a digest is kept, as a blob and as manifests of any repositories.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// Size of the blob, in bytes; `None` if there is no such blob.
    pub blob: Option<u64>,
    /// True if a repository holds it as a manifest.
    pub is_manifest: bool,
    pub chains: Vec<HolderChain>,
    /// Number of chains that are not reported.
    pub more: u64,
    /// True if there may be even more.
    pub is_cut: bool,
    /// Planned removals of the digest, if nothing holds it permanently.
    pub removals: Vec<PlannedRemoval>,
    /// Repositories in whose trash it is.
    pub trash: Vec<TrashRow>,
    /// True if the blob is gone, and its file awaits removal.
    pub is_removal: bool,
    /// Damaged pieces of it, or itself: they are not served.
    pub damage: Vec<Damaged>,
    /// Names of images that need the damaged blob.
    pub damaged_images: Vec<String>,
}

/// Path from an item up to what keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderChain {
    pub repository: String,
    /// Steps, each held by the next.
    ///
    /// The first is the item itself, for a manifest, or a manifest that references the blob.
    pub steps: Vec<ChainStep>,
    pub end: ChainEnd,
    /// Upstream of its last manifest, if that is cached.
    pub cached: Option<CachedImage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainStep {
    pub kind: StepKind,
    pub digest: Digest,
}

/// Relation of a manifest to the previous step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// References the blob, or is the item itself.
    Manifest,
    /// Index that references it.
    Index,
    /// Subject of the referrer.
    Subject,
}

impl StepKind {
    /// Returns its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Index => "index",
            Self::Subject => "subject",
        }
    }
}

/// End of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainEnd {
    Tags {
        tags: Vec<TagHold>,
        /// Number of further tags of the manifest.
        more: u64,
    },
    /// Unreferenced manifest, kept until this time, or forever, for this reason.
    Idle { until: Option<Millis>, why: String },
    /// Unreferenced blob, kept in the repository until this time.
    Lease { until: Millis },
}

/// A tag, and the decision of the rules about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagHold {
    pub name: String,
    /// Decision; `None` if no policy applies to the repository.
    pub decision: Option<TagDecision>,
}

impl Reports<'_> {
    /// Finds what keeps a digest, or when it is removed, by these retention rules, as far as repositories are `shown`.
    pub async fn explain(
        self,
        digest: &Digest,
        retention: &Retention,
        shown: Visibility,
    ) -> Result<Explanation, Error> {
        let (digest, retention) = (digest.clone(), retention.clone());
        self.registry
            .scan(move |meta| {
                let is_all = matches!(shown, Visibility::All);
                let mut walk = HolderWalk {
                    meta,
                    retention: &retention,
                    shown: &shown,
                    why: Explanation::default(),
                    waiting: VecDeque::new(),
                    decisions: HashMap::new(),
                };
                walk.begin(&digest)?;
                walk.follow_chains()?;
                walk.name_upstreams()?;
                let mut why = walk.why;
                if !why.is_lasting() && (is_all || !why.chains.is_empty()) {
                    why.removals = removals(meta, &digest, &retention, &shown)?;
                }
                if why.is_manifest {
                    why.damage = meta.damage_within(None, &digest, MAX_PIECES)?;
                }
                if let Some(blob) = meta.damaged_blob(&digest)? {
                    let (images, _) = meta.images_needing(&digest, MAX_CHAINS)?;
                    let images = images.iter().filter(|image| shown.shows(&image.repository));
                    why.damaged_images = images.flat_map(image_names).collect();
                    if is_all || !why.damaged_images.is_empty() {
                        why.damage.push(blob);
                    }
                }
                why.trash = meta.trashed_anywhere(&digest, MAX_CHAINS)?;
                why.trash.retain(|row| shown.shows(&row.repository));
                why.is_removal = is_all && why.blob.is_none() && meta.is_removal(&digest)?;
                Ok(why)
            })
            .await
    }
}

/// Returns the planned removals of a digest. That of a blob depends on all repositories.
fn removals(
    meta: &Reader<'_>,
    digest: &Digest,
    retention: &Retention,
    shown: &Visibility,
) -> Result<Vec<PlannedRemoval>, meta::Error> {
    let mut simulation = Simulation::new(meta, retention, None);
    simulation.collect_all(now())?;
    let is_shown = |removal: &PlannedRemoval| match &removal.repository {
        Some(repository) => shown.shows(repository),
        None => matches!(shown, Visibility::All),
    };
    let of_it = simulation.removals.into_iter().filter(|removal| {
        removal.digest == *digest && removal.kind != RemovalKind::Tag && is_shown(removal)
    });
    Ok(of_it.collect())
}

impl Explanation {
    /// Reports whether something holds it permanently, wherever it is.
    fn is_lasting(&self) -> bool {
        let is_kept = |tag: &TagHold| {
            tag.decision
                .as_ref()
                .is_none_or(|decision| decision.is_kept)
        };
        let is_lasting = |chain: &HolderChain| match &chain.end {
            ChainEnd::Tags { tags, more } => *more > 0 || tags.iter().any(is_kept),
            ChainEnd::Idle { until, .. } => until.is_none(),
            ChainEnd::Lease { .. } => false,
        };
        if !self.is_manifest {
            return self.chains.iter().any(is_lasting);
        }
        // each repository has a manifest of its own
        let lasts_in = |name: &str| {
            self.chains
                .iter()
                .any(|chain| chain.repository == name && is_lasting(chain))
        };
        self.more == 0
            && !self.chains.is_empty()
            && self.chains.iter().all(|chain| lasts_in(&chain.repository))
    }

    /// Reports whether the digest is entirely unknown.
    pub fn is_unknown(&self) -> bool {
        self.blob.is_none()
            && !self.is_manifest
            && self.trash.is_empty()
            && !self.is_removal
            && self.damage.is_empty()
    }
}

struct HolderWalk<'m> {
    meta: &'m Reader<'m>,
    retention: &'m Retention,
    shown: &'m Visibility,
    why: Explanation,
    /// Manifests whose holders are still to be found, with the chains that lead to them.
    waiting: VecDeque<(Vec<ChainStep>, StepKind, HeldManifest)>,
    /// Decisions about all tags of a repository, by repository.
    decisions: HashMap<String, HashMap<String, TagDecision>>,
}

impl HolderWalk<'_> {
    fn begin(&mut self, digest: &Digest) -> Result<(), meta::Error> {
        let mut manifests = self.meta.manifests_of(digest, MAX_VISITED + 1)?;
        self.why.is_cut = manifests.len() > MAX_VISITED;
        manifests.retain(|manifest| self.shown.shows(&manifest.repository));
        self.why.is_manifest = !manifests.is_empty();
        self.waiting.extend(
            manifests
                .into_iter()
                .map(|manifest| (Vec::new(), StepKind::Manifest, manifest)),
        );
        let Some(mut blob) = self.meta.linked_blob(digest, MAX_VISITED)? else {
            return Ok(());
        };
        let mut needing = self.meta.manifests_needing(digest, MAX_VISITED + 1)?;
        self.why.is_cut |= needing.len() > MAX_VISITED;
        needing.retain(|manifest| self.shown.shows(&manifest.repository));
        blob.idle_links
            .retain(|(repository, _)| self.shown.shows(repository));
        let is_held = !needing.is_empty() || !blob.idle_links.is_empty();
        if !is_held && !matches!(self.shown, Visibility::All) {
            return Ok(());
        }
        self.why.blob = Some(blob.size);
        self.waiting.extend(
            needing
                .into_iter()
                .map(|manifest| (Vec::new(), StepKind::Manifest, manifest)),
        );
        for (repository, since) in blob.idle_links {
            let until = since.saturating_add(self.retention.hold_period());
            self.end(HolderChain {
                repository,
                steps: Vec::new(),
                end: ChainEnd::Lease { until },
                cached: None,
            });
        }
        Ok(())
    }

    /// Follows every chain to its end, breadth first, so that the shortest end first.
    fn follow_chains(&mut self) -> Result<(), meta::Error> {
        let mut visited = 0;
        while let Some((mut steps, kind, manifest)) = self.waiting.pop_front() {
            visited += 1;
            if visited > MAX_VISITED || steps.len() >= MAX_DEPTH {
                self.why.is_cut = true;
                continue;
            }
            steps.push(ChainStep {
                kind,
                digest: manifest.digest.clone(),
            });
            self.tags(&steps, &manifest)?;
            for index in self.meta.parents_of(manifest.id, MAX_VISITED + 1)? {
                self.waiting
                    .push_back((steps.clone(), StepKind::Index, index));
            }
            if let Some(subject) = manifest.subject
                && let Some(subject) = self.meta.held_manifest(subject)?
            {
                self.waiting
                    .push_back((steps.clone(), StepKind::Subject, subject));
            }
            if manifest.holders == 0 {
                self.idle(steps, &manifest)?;
            }
        }
        Ok(())
    }

    fn name_upstreams(&mut self) -> Result<(), meta::Error> {
        for chain in &mut self.why.chains {
            if let Some(last) = chain.steps.last()
                && let Ok(repository) = RepositoryName::parse(&chain.repository)
            {
                chain.cached = cached_image(self.meta, &repository, &last.digest)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, chain: HolderChain) {
        if self.why.chains.len() < MAX_CHAINS {
            self.why.chains.push(chain)
        } else {
            self.why.more += 1
        }
    }

    fn tags(&mut self, steps: &[ChainStep], manifest: &HeldManifest) -> Result<(), meta::Error> {
        let (names, count) = self.meta.tags_of_manifest(manifest.id, MAX_TAGS)?;
        if names.is_empty() {
            return Ok(());
        }
        let more = count.saturating_sub(names.len() as u64);
        let decisions = self.decisions(&manifest.repository)?;
        let tags = names
            .into_iter()
            .map(|name| TagHold {
                decision: decisions.get(&name).cloned(),
                name,
            })
            .collect();
        self.end(HolderChain {
            repository: manifest.repository.clone(),
            steps: steps.to_vec(),
            end: ChainEnd::Tags { tags, more },
            cached: None,
        });
        Ok(())
    }

    fn decisions(
        &mut self,
        repository: &str,
    ) -> Result<&HashMap<String, TagDecision>, meta::Error> {
        if !self.decisions.contains_key(repository) {
            let mut decisions = HashMap::new();
            if let Some(policy) = self.retention.policy(repository)
                && let Ok(name) = RepositoryName::parse(repository)
            {
                let tags = self.meta.tag_activities_in(&name)?;
                let decided = policy.decide(tags, self.retention.grace, now());
                decisions.extend(
                    decided
                        .into_iter()
                        .map(|decision| (decision.tag.clone(), decision)),
                );
            }
            self.decisions.insert(repository.to_owned(), decisions);
        }
        Ok(&self.decisions[repository])
    }

    fn idle(&mut self, steps: Vec<ChainStep>, manifest: &HeldManifest) -> Result<(), meta::Error> {
        // referenced again since it was read
        let Some(idle) = self.meta.idle_manifest(manifest.id)? else {
            return Ok(());
        };
        let (lease, grace) = (millis(self.retention.lease), millis(self.retention.grace));
        let hold = if lease > grace {
            "its lease"
        } else {
            "the grace period"
        };
        let why = match (
            idle.has_lost_parent,
            self.retention.untagged_rule(&manifest.repository),
        ) {
            (true, _) => format!("its index or subject is gone; it is kept for {hold}"),
            (false, KeepUntagged::Forever) => {
                "no tag points at it; such manifests are kept forever".to_owned()
            }
            (false, KeepUntagged::For(Duration::ZERO)) => {
                format!("no tag points at it; it is kept for {hold}")
            }
            (false, time) => format!("no tag points at it; such manifests are kept for {time}"),
        };
        let end = if self.meta.has_tagged_subject(manifest.id)? {
            ChainEnd::Idle {
                until: None,
                why: "its subject is kept, and it stays with that".to_owned(),
            }
        } else {
            ChainEnd::Idle {
                until: self.retention.due(&idle),
                why,
            }
        };
        self.end(HolderChain {
            repository: manifest.repository.clone(),
            steps,
            end,
            cached: None,
        });
        Ok(())
    }
}
