//! Why something is still here: who holds it, and who holds those, up to tags, leases and rules.

use std::collections::{HashMap, VecDeque};

use crate::meta::{self, HeldManifest, Millis, Reader, TrashRow, now};
use crate::oci::Digest;
use crate::registry::error::Error;
use crate::registry::policy::retention::millis;
use crate::registry::policy::retention::{KeepUntagged, Retention, TagDecision};
use crate::registry::report::removal::{PlannedRemoval, RemovalKind};
use crate::registry::report::simulation::Simulation;
use crate::registry::slices::Reports;

/// The most chains that are told, the shortest first.
const TOLD: usize = 20;
/// The most manifests that are looked at, for those that are not told to be counted at least.
const LOOKED_AT: usize = 1000;
/// The longest chain that is followed.
const DEPTH: usize = 5000;
/// The most tags that are told of one manifest.
const TAGS: usize = 5;

/// All that is known of a digest, as a blob and as manifests of whatever repositories.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// Of the blob, in bytes; none where there is none.
    pub blob: Option<u64>,
    /// Whether a repository holds it as a manifest.
    pub is_manifest: bool,
    pub chains: Vec<HolderChain>,
    /// Chains that are not told.
    pub more: u64,
    /// There may be even more.
    pub is_cut: bool,
    /// When it goes, for each of what it is, where nothing lasting holds it.
    pub goes: Vec<PlannedRemoval>,
    /// Repositories it was deleted from and can be brought back to.
    pub trash: Vec<TrashRow>,
    /// Its file waits for removal: the blob is gone.
    pub is_removal: bool,
}

/// A way from the thing up to what keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderChain {
    pub repository: String,
    /// Each held by the next. Of a manifest, the first is itself; of a blob, a manifest that needs it.
    pub steps: Vec<ChainStep>,
    pub end: ChainEnd,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainStep {
    pub kind: StepKind,
    pub digest: Digest,
}

/// How a manifest holds what is before it in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// As the manifest that needs a blob; or it is the thing itself.
    Manifest,
    /// As the index that names it.
    Index,
    /// As what it is about.
    Subject,
}

/// What a chain ends in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainEnd {
    Tags {
        tags: Vec<TagHold>,
        /// Of the same manifest, not told.
        more: u64,
    },
    /// Nothing holds the last manifest: until when it stays, for ever where there is no such time, and by what.
    Idle { until: Option<Millis>, why: String },
    /// The repository shows the blob until then, and no manifest there needs it.
    Lease { until: Millis },
}

/// A tag, and what the rules say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagHold {
    pub name: String,
    /// None where no policy has rules for the repository.
    pub decision: Option<TagDecision>,
}

impl Reports<'_> {
    /// Finds what keeps a digest, by these rules, and where nothing does, when it goes.
    pub async fn explain(
        self,
        digest: &Digest,
        retention: &Retention,
    ) -> Result<Explanation, Error> {
        let (digest, retention) = (digest.clone(), retention.clone());
        self.registry
            .scan(move |meta| {
                let mut walk = HolderWalk {
                    meta,
                    retention: &retention,
                    why: Explanation::default(),
                    waiting: VecDeque::new(),
                    decisions: HashMap::new(),
                };
                walk.begin(&digest)?;
                walk.climb()?;
                let mut why = walk.why;
                if !why.is_lasting() {
                    let mut simulation = Simulation::new(meta, &retention, None);
                    simulation.everything(now())?;
                    why.goes = simulation
                        .removals
                        .into_iter()
                        .filter(|removal| {
                            removal.digest == digest && removal.kind != RemovalKind::Tag
                        })
                        .collect();
                }
                why.trash = meta.trashed_anywhere(&digest, TOLD)?;
                why.is_removal = why.blob.is_none() && meta.is_removal(&digest)?;
                Ok(why)
            })
            .await
    }
}

impl Explanation {
    /// Whether something holds it for as long as nobody decides otherwise, wherever it is.
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
        // in each repository it is a manifest of its own
        let lasts_in = |name: &str| {
            self.chains
                .iter()
                .any(|chain| chain.repository == name && is_lasting(chain))
        };
        self.more == 0
            && !self.chains.is_empty()
            && self.chains.iter().all(|chain| lasts_in(&chain.repository))
    }

    /// Whether nothing here has to do with the digest.
    pub fn is_unknown(&self) -> bool {
        self.blob.is_none() && !self.is_manifest && self.trash.is_empty() && !self.is_removal
    }
}

struct HolderWalk<'m> {
    meta: &'m Reader<'m>,
    retention: &'m Retention,
    why: Explanation,
    /// Manifests whose holders are not yet known, each with the chain that led there.
    waiting: VecDeque<(Vec<ChainStep>, StepKind, HeldManifest)>,
    /// What the rules say of all tags of a repository.
    decisions: HashMap<String, HashMap<String, TagDecision>>,
}

impl HolderWalk<'_> {
    fn begin(&mut self, digest: &Digest) -> Result<(), meta::Error> {
        let manifests = self.meta.manifests_of(digest, LOOKED_AT + 1)?;
        self.why.is_cut = manifests.len() > LOOKED_AT;
        self.why.is_manifest = !manifests.is_empty();
        self.waiting.extend(
            manifests
                .into_iter()
                .map(|manifest| (Vec::new(), StepKind::Manifest, manifest)),
        );
        let Some(blob) = self.meta.shown_blob(digest, LOOKED_AT)? else {
            return Ok(());
        };
        self.why.blob = Some(blob.size);
        let needing = self.meta.manifests_needing(digest, LOOKED_AT + 1)?;
        self.why.is_cut |= needing.len() > LOOKED_AT;
        self.waiting.extend(
            needing
                .into_iter()
                .map(|manifest| (Vec::new(), StepKind::Manifest, manifest)),
        );
        for (repository, since) in blob.idle_links {
            let until = since.saturating_add(self.retention.hold());
            self.end(HolderChain {
                repository,
                steps: Vec::new(),
                end: ChainEnd::Lease { until },
            });
        }
        Ok(())
    }

    /// Follows every chain to its end, a step of each at a time, so that the shortest end first.
    fn climb(&mut self) -> Result<(), meta::Error> {
        let mut looked_at = 0;
        while let Some((mut steps, kind, manifest)) = self.waiting.pop_front() {
            looked_at += 1;
            if looked_at > LOOKED_AT || steps.len() >= DEPTH {
                self.why.is_cut = true;
                continue;
            }
            steps.push(ChainStep {
                kind,
                digest: manifest.digest.clone(),
            });
            self.tags(&steps, &manifest)?;
            for index in self.meta.parents_of(manifest.id, LOOKED_AT + 1)? {
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

    fn end(&mut self, chain: HolderChain) {
        if self.why.chains.len() < TOLD {
            self.why.chains.push(chain)
        } else {
            self.why.more += 1
        }
    }

    fn tags(&mut self, steps: &[ChainStep], manifest: &HeldManifest) -> Result<(), meta::Error> {
        let (names, count) = self.meta.tags_of_manifest(manifest.id, TAGS)?;
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
                && let Ok(name) = crate::oci::RepositoryName::parse(repository)
            {
                let decided = policy.decide(self.meta.tagged(&name)?, now());
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
        // held again since it was read
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
            idle.is_freed,
            self.retention.untagged_rule(&manifest.repository),
        ) {
            (true, _) => format!("its index or subject is gone; it stays for {hold}"),
            (false, KeepUntagged::Never) => format!("no tag points at it; it stays for {hold}"),
            (false, KeepUntagged::Forever) => {
                "no tag points at it; such manifests stay for ever".to_owned()
            }
            (false, time) => format!("no tag points at it; such manifests stay for {time}"),
        };
        let end = if self.meta.is_about_tagged(manifest.id)? {
            ChainEnd::Idle {
                until: None,
                why: "it is about a manifest that is kept, and stays with it".to_owned(),
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
        });
        Ok(())
    }
}
