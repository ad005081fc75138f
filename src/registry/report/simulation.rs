//! Following what hangs on what: things lose their holders one by one, in mind only, and fall with the last.
//!
//! It costs what there is that falls, and not what there is.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

use crate::meta::{self, FIRST, HeldManifest, IdleManifest, ManifestId, Millis, Reader};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::policy::retention::Retention;
use crate::registry::report::removal::{PlannedRemoval, RemovalKind};

/// How many candidates are read at once.
const BATCH: usize = 1000;

/// How many of its holders something loses, and when the last of them goes.
#[derive(Clone, Copy, Debug)]
struct LostHolders {
    lost: u64,
    at: Millis,
}

/// What goes by itself, for others to be judged on top of it.
#[derive(Clone, Debug, Default)]
pub struct CollectionBaseline {
    /// Manifests that go.
    gone: HashSet<ManifestId>,
    /// Tags that go by a rule, on whatever stays or goes.
    tags: HashSet<(ManifestId, String)>,
    manifests: HashMap<ManifestId, LostHolders>,
    links: HashMap<(i64, i64), LostHolders>,
    blobs: HashMap<i64, LostHolders>,
}

/// What became of a manifest that lost tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum UntagEffect {
    /// It is held all the same, or goes anyway.
    StillHeld,
    /// Nothing holds it; it goes when the rules say so.
    Expires,
    /// Nothing holds it, and the rules keep it for ever.
    KeptForever,
}

/// Removes things one by one, in mind only, and whatever hangs on nothing else.
pub(in crate::registry) struct Simulation<'m> {
    meta: &'m Reader<'m>,
    retention: &'m Retention,
    /// What goes anyway, which is not told again.
    base: Option<&'m CollectionBaseline>,
    pub losses: CollectionBaseline,
    pub removals: Vec<PlannedRemoval>,
}

impl<'m> Simulation<'m> {
    pub fn new(
        meta: &'m Reader<'m>,
        retention: &'m Retention,
        base: Option<&'m CollectionBaseline>,
    ) -> Self {
        Self {
            meta,
            retention,
            base,
            losses: CollectionBaseline::default(),
            removals: Vec::new(),
        }
    }

    /// Everything that goes by itself, sooner or later.
    pub fn everything(&mut self, now: Millis) -> Result<(), meta::Error> {
        self.all_tags(now)?;
        self.garbage(|_| true)
    }

    /// What goes by itself in some repositories, apart from tags that a rule still keeps: whoever asks about those wants to
    /// know what else they hold. And all blobs that no manifest needs now: those are cheap to ask for, and what hangs on a
    /// manifest is rarely in another repository.
    pub fn within(
        &mut self,
        now: Millis,
        repositories: &BTreeSet<String>,
    ) -> Result<(), meta::Error> {
        for repository in repositories {
            self.tags(repository, now, now)?;
        }
        self.garbage(|repository| repositories.contains(repository))
    }

    fn garbage(&mut self, is_meant: impl Fn(&str) -> bool) -> Result<(), meta::Error> {
        self.manifests(is_meant)?;
        self.links()?;
        self.blobs()
    }

    /// Tags that the rules remove, in all repositories, now or with time. Costs the tags of those with rules about tags.
    fn all_tags(&mut self, now: Millis) -> Result<(), meta::Error> {
        if self
            .retention
            .policies
            .iter()
            .all(|policy| policy.tags.is_empty())
        {
            return Ok(());
        }
        let mut after = FIRST;
        loop {
            let repositories = self.meta.all_repositories(after, BATCH)?;
            let Some((last, ..)) = repositories.last() else {
                return Ok(());
            };
            after = *last;
            repositories
                .iter()
                .try_for_each(|(.., name)| self.tags(name, now, Millis::MAX))?;
        }
    }

    /// Tags of a repository that the rules remove by then, and what only those hold.
    fn tags(&mut self, repository: &str, now: Millis, by: Millis) -> Result<(), meta::Error> {
        let Some(policy) = self
            .retention
            .policy(repository)
            .filter(|policy| !policy.tags.is_empty())
        else {
            return Ok(());
        };
        let Ok(name) = RepositoryName::parse(repository) else {
            return Ok(());
        };
        for decision in policy.decide(self.meta.tagged(&name)?, now) {
            let Some(at) = (if decision.is_kept {
                decision.until
            } else {
                Some(now)
            })
            .filter(|at| *at <= by) else {
                continue;
            };
            let Ok(tag) = TagName::parse(&decision.tag) else {
                continue;
            };
            let Some(manifest) = self.meta.held_by_tag(&name, &tag)? else {
                continue;
            };
            if !self.losses.tags.insert((manifest.id, decision.tag.clone())) {
                continue;
            }
            self.removals.push(PlannedRemoval {
                kind: RemovalKind::Tag,
                repository: Some(repository.to_owned()),
                tag: Some(decision.tag),
                digest: manifest.digest.clone(),
                size: 0,
                at,
                why: if decision.is_kept {
                    format!("no longer {}", decision.reason)
                } else {
                    decision.reason
                },
            });
            self.untag(manifest, at)?;
        }
        Ok(())
    }

    /// Takes a tag off its manifest, if that has not been done.
    pub fn remove_tag(
        &mut self,
        manifest: HeldManifest,
        tag: &TagName,
        now: Millis,
    ) -> Result<UntagEffect, meta::Error> {
        if self.losses.tags.insert((manifest.id, tag.to_string())) {
            self.untag(manifest, now)
        } else {
            Ok(UntagEffect::StillHeld)
        }
    }

    /// Counts one tag less on a manifest. Where it was the last to hold it, it goes when the rules say so.
    fn untag(&mut self, manifest: HeldManifest, now: Millis) -> Result<UntagEffect, meta::Error> {
        let before = self.base.and_then(|base| base.manifests.get(&manifest.id));
        let loss = record_loss(self.losses.manifests.entry(manifest.id), before, now);
        if loss.lost < manifest.holders || self.is_gone(manifest.id) {
            return Ok(UntagEffect::StillHeld);
        }
        let idle = IdleManifest {
            id: manifest.id,
            repository: manifest.repository.clone(),
            digest: manifest.digest.clone(),
            size: manifest.size,
            idle_since: loss.at,
            pulled_at: None,
            is_freed: false,
        };
        let Some(at) = self.retention.due(&idle) else {
            return Ok(UntagEffect::KeptForever);
        };
        self.remove_manifest(manifest, at, "no tag points at it".to_owned())?;
        Ok(UntagEffect::Expires)
    }

    /// Manifests that nothing holds, and what only they hold.
    fn manifests(&mut self, is_meant: impl Fn(&str) -> bool) -> Result<(), meta::Error> {
        let mut after = FIRST;
        loop {
            let idle = self
                .meta
                .idle_manifests(Millis::MAX, Millis::MAX, after, BATCH)?;
            let Some((last, _)) = idle.last() else {
                return Ok(());
            };
            after = *last;
            for (_, manifest) in idle
                .into_iter()
                .filter(|(_, manifest)| is_meant(&manifest.repository))
            {
                let Some(at) = self.retention.due(&manifest) else {
                    continue;
                };
                if self.meta.is_about_tagged(manifest.id)? {
                    continue;
                }
                let why = if manifest.is_freed {
                    "its index or subject is gone"
                } else {
                    "no tag points at it"
                };
                if let Some(held) = self.meta.held_manifest(manifest.id)? {
                    self.remove_manifest(held, at, why.to_owned())?;
                }
            }
        }
    }

    /// Whether the manifest goes by what has been dropped so far.
    pub fn is_gone(&self, manifest: ManifestId) -> bool {
        self.losses.gone.contains(&manifest)
            || self.base.is_some_and(|base| base.gone.contains(&manifest))
    }

    /// Whether a tag goes anyway.
    pub fn is_tag_gone(&self, manifest: ManifestId, tag: &str) -> bool {
        self.base
            .is_some_and(|base| base.tags.contains(&(manifest, tag.to_owned())))
    }

    /// Whether that tag alone holds a manifest, apart from what goes anyway.
    pub fn is_last_hold(&self, manifest: &HeldManifest, tag: &str) -> bool {
        let lost = self
            .base
            .and_then(|base| base.manifests.get(&manifest.id))
            .map_or(0, |loss| loss.lost);
        manifest.holders == lost + 1 && !self.is_tag_gone(manifest.id, tag)
    }

    /// Removes a manifest, and what hangs on nothing else after it.
    pub fn remove_manifest(
        &mut self,
        manifest: HeldManifest,
        at: Millis,
        why: String,
    ) -> Result<(), meta::Error> {
        self.remove_manifests(vec![manifest], at, &why)
    }

    /// Removes several manifests at one time, those that others of them hold as well.
    pub fn remove_manifests(
        &mut self,
        manifests: Vec<HeldManifest>,
        at: Millis,
        why: &str,
    ) -> Result<(), meta::Error> {
        let manifests = manifests
            .into_iter()
            .filter(|manifest| !self.is_gone(manifest.id));
        let mut going: Vec<_> = manifests
            .map(|manifest| (manifest, at, why.to_owned()))
            .collect();
        self.losses
            .gone
            .extend(going.iter().map(|(manifest, ..)| manifest.id));
        while let Some((manifest, at, why)) = going.pop() {
            for held in self.meta.held_by_manifest(manifest.id)? {
                let before = self.base.and_then(|base| base.manifests.get(&held.id));
                let loss = record_loss(self.losses.manifests.entry(held.id), before, at);
                if loss.lost == held.holders && !self.is_gone(held.id) {
                    self.losses.gone.insert(held.id);
                    let at = loss.at.saturating_add(self.retention.hold());
                    going.push((held, at, "what holds it goes".to_owned()));
                }
            }
            for blob in self.meta.blobs_of_manifest(manifest.id)? {
                let before = self.base.and_then(|base| base.links.get(&blob.link));
                let loss = record_loss(self.losses.links.entry(blob.link), before, at);
                if loss.lost == blob.holders {
                    let at = loss.at.saturating_add(self.retention.hold());
                    self.remove_link(blob.link.1, blob.digest, blob.size, blob.links, at);
                }
            }
            let HeldManifest {
                repository,
                digest,
                size,
                ..
            } = manifest;
            self.removals.push(PlannedRemoval {
                kind: RemovalKind::Manifest,
                repository: Some(repository),
                tag: None,
                digest,
                size,
                at,
                why,
            });
        }
        Ok(())
    }

    /// Links that nothing holds.
    fn links(&mut self) -> Result<(), meta::Error> {
        let mut after = FIRST;
        loop {
            let idle = self.meta.idle_links(Millis::MAX, after, BATCH)?;
            let Some((last, _)) = idle.last() else {
                return Ok(());
            };
            after = *last;
            for (_, link) in idle {
                let at = link.idle_since.saturating_add(self.retention.hold());
                self.remove_link(link.blob, link.digest, link.size, link.links, at);
            }
        }
    }

    fn remove_link(&mut self, blob: i64, digest: Digest, size: u64, links: u64, at: Millis) {
        let loss = record_loss(
            self.losses.blobs.entry(blob),
            self.base.and_then(|base| base.blobs.get(&blob)),
            at,
        );
        if loss.lost == links {
            let why = "no manifest needs it".to_owned();
            self.removals.push(PlannedRemoval {
                kind: RemovalKind::Blob,
                repository: None,
                tag: None,
                digest,
                size,
                at: loss.at,
                why,
            });
        }
    }

    /// Blobs that no repository shows any more.
    fn blobs(&mut self) -> Result<(), meta::Error> {
        let mut after = FIRST;
        loop {
            let idle = self.meta.idle_blobs(Millis::MAX, after, BATCH)?;
            let Some((last, _)) = idle.last() else {
                return Ok(());
            };
            after = *last;
            self.removals
                .extend(idle.into_iter().map(|(_, blob)| PlannedRemoval {
                    kind: RemovalKind::Blob,
                    repository: None,
                    tag: None,
                    digest: blob.digest,
                    size: blob.size,
                    at: blob.idle_since.saturating_add(self.retention.hold()),
                    why: "no repository shows it".to_owned(),
                }));
        }
    }
}

/// Counts one more loss, on top of those of before.
fn record_loss<K>(
    entry: Entry<'_, K, LostHolders>,
    before: Option<&LostHolders>,
    at: Millis,
) -> LostHolders {
    let loss = entry.or_insert_with(|| before.copied().unwrap_or(LostHolders { lost: 0, at }));
    loss.lost += 1;
    loss.at = loss.at.max(at);
    *loss
}
