//! Simulation of garbage collection in memory: removes holders and finds what becomes unreferenced.
//!
//! Cost grows with what is removed, not with the store.

use std::collections::BTreeSet;

use crate::meta::{self, BlobId, Cursor, HeldManifest, IdleManifest, ManifestId, Millis, Reader};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::policy::retention::Retention;
use crate::registry::report::losses::{CollectionBaseline, Going, record_loss};
use crate::registry::report::removal::{PlannedRemoval, RemovalKind, WaitCause};

/// Maximum number of candidates read at once.
const BATCH: usize = 1000;

/// Effect of the removal of a tag on its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum UntagEffect {
    /// Still referenced, or removed anyway.
    StillHeld,
    /// Unreferenced; it expires by the rules.
    Expires,
    /// Unreferenced, and kept forever by the rules.
    KeptForever,
}

/// Removes items one by one, in memory, with everything that is left unreferenced.
pub(in crate::registry) struct Simulation<'m> {
    meta: &'m Reader<'m>,
    retention: &'m Retention,
    /// Removals that happen anyway, which are not reported again.
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

    pub fn meta(&self) -> &'m Reader<'m> {
        self.meta
    }

    pub fn retention(&self) -> &'m Retention {
        self.retention
    }

    /// Simulates everything that collection removes, sooner or later.
    pub fn collect_all(&mut self, now: Millis) -> Result<(), meta::Error> {
        self.all_tags(now)?;
        self.evictions(now)?;
        self.collect_unreferenced(|_| true)
    }

    /// Simulates what collection removes in some repositories, except for tags that a rule still
    /// keeps.
    ///
    /// Those are left out because callers ask what else the repositories hold. Includes all blobs
    /// that no manifest references now: they are cheap to list, and content of a manifest is rarely
    /// in another repository.
    pub fn collect_in(
        &mut self,
        now: Millis,
        repositories: &BTreeSet<String>,
    ) -> Result<(), meta::Error> {
        for repository in repositories {
            self.tags(repository, now, now)?;
        }
        self.collect_unreferenced(|repository| repositories.contains(repository))
    }

    /// Simulates the removal of what is unreferenced, in the repositories that are meant.
    pub fn collect_unreferenced(
        &mut self,
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<(), meta::Error> {
        self.manifests(is_meant)?;
        self.links()?;
        self.blobs()
    }

    /// Removes expiring tags in all repositories; cost grows with the tags that have rules.
    fn all_tags(&mut self, now: Millis) -> Result<(), meta::Error> {
        if self
            .retention
            .policies
            .iter()
            .all(|policy| policy.tags.is_empty())
        {
            return Ok(());
        }
        let mut after = Cursor::START;
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

    /// Removes the tags of a repository that expire by `by`, and what only they reference.
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
        let tags = self.meta.tag_activities_in(&name)?;
        for decision in policy.decide(tags, self.retention.grace, now) {
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
                cause: WaitCause::Rule,
                why: if decision.is_kept {
                    format!("no longer {}", decision.reason)
                } else {
                    decision.reason
                },
            });
            self.untag(manifest, at, WaitCause::Rule)?;
        }
        Ok(())
    }

    /// Removes a tag from its manifest, unless it was removed before.
    pub fn remove_tag(
        &mut self,
        manifest: HeldManifest,
        tag: &TagName,
        now: Millis,
    ) -> Result<UntagEffect, meta::Error> {
        if self.losses.tags.insert((manifest.id, tag.to_string())) {
            self.untag(manifest, now, WaitCause::Untagged)
        } else {
            Ok(UntagEffect::StillHeld)
        }
    }

    /// Counts a lost tag; a manifest that loses its last holder expires by the rules.
    fn untag(
        &mut self,
        manifest: HeldManifest,
        now: Millis,
        cause: WaitCause,
    ) -> Result<UntagEffect, meta::Error> {
        let before = self.base.and_then(|base| base.manifests.get(&manifest.id));
        let loss = record_loss(
            self.losses.manifests.entry(manifest.id),
            before,
            (now, cause),
        );
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
            checked_at: None,
            has_lost_parent: false,
            released_at: Some(loss.at),
        };
        let Some(at) = self.retention.due(&idle) else {
            return Ok(UntagEffect::KeptForever);
        };
        let going = Going {
            at,
            cause: loss.cause,
            why: "no tag points at it".to_owned(),
        };
        self.remove_manifest(manifest, going)?;
        Ok(UntagEffect::Expires)
    }

    /// Removes unreferenced manifests that the rules keep forever, and what only they reference, at the end of time.
    pub fn manifests_kept_forever(&mut self) -> Result<(), meta::Error> {
        let forever = |retention: &Retention, manifest: &IdleManifest| match retention.due(manifest)
        {
            None => Some(Millis::MAX),
            Some(_) => None,
        };
        self.idle_manifests(|_| true, forever)
    }

    /// Removes unreferenced manifests, and what only they reference.
    fn manifests(&mut self, is_meant: impl Fn(&str) -> bool) -> Result<(), meta::Error> {
        self.idle_manifests(is_meant, Retention::due)
    }

    /// Removes the unreferenced manifests for which `due` returns a time.
    fn idle_manifests(
        &mut self,
        is_meant: impl Fn(&str) -> bool,
        due: impl Fn(&Retention, &IdleManifest) -> Option<Millis>,
    ) -> Result<(), meta::Error> {
        let mut after = Cursor::START;
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
                let Some(at) = due(self.retention, &manifest) else {
                    continue;
                };
                if self.meta.has_tagged_subject(manifest.id)? {
                    continue;
                }
                let why = if manifest.has_lost_parent {
                    "its index or subject is gone"
                } else {
                    "no tag points at it"
                };
                let going = Going {
                    at,
                    cause: self.cause(&manifest, at),
                    why: why.to_owned(),
                };
                if let Some(held) = self.meta.held_manifest(manifest.id)? {
                    self.remove_manifest(held, going)?;
                }
            }
        }
    }

    /// Returns what the removal of an unreferenced manifest waits for.
    fn cause(&self, manifest: &IdleManifest, at: Millis) -> WaitCause {
        let hold = self.retention.hold_period();
        if self.retention.is_deleted(manifest) {
            WaitCause::Undo
        } else if at > manifest.idle_since.saturating_add(hold) {
            WaitCause::Untagged
        } else {
            WaitCause::Lease
        }
    }

    /// Reports whether the manifest has been removed so far.
    pub fn is_gone(&self, manifest: ManifestId) -> bool {
        self.losses.gone.contains(&manifest)
            || self.base.is_some_and(|base| base.gone.contains(&manifest))
    }

    /// Reports whether a tag is removed anyway.
    pub fn is_tag_gone(&self, manifest: ManifestId, tag: &str) -> bool {
        self.base
            .is_some_and(|base| base.tags.contains(&(manifest, tag.to_owned())))
    }

    /// Reports whether a tag is the last holder of a manifest, apart from what is removed anyway.
    pub fn is_last_hold(&self, manifest: &HeldManifest, tag: &str) -> bool {
        let lost = self
            .base
            .and_then(|base| base.manifests.get(&manifest.id))
            .map_or(0, |loss| loss.lost);
        manifest.holders == lost + 1 && !self.is_tag_gone(manifest.id, tag)
    }

    /// Removes a manifest, and what is left unreferenced.
    pub fn remove_manifest(
        &mut self,
        manifest: HeldManifest,
        going: Going,
    ) -> Result<(), meta::Error> {
        self.remove_manifests(vec![manifest], &going)
    }

    /// Removes several manifests at once, even if they reference each other.
    pub fn remove_manifests(
        &mut self,
        manifests: Vec<HeldManifest>,
        going: &Going,
    ) -> Result<(), meta::Error> {
        let manifests = manifests
            .into_iter()
            .filter(|manifest| !self.is_gone(manifest.id));
        let mut waiting: Vec<_> = manifests
            .map(|manifest| (manifest, going.clone()))
            .collect();
        self.losses
            .gone
            .extend(waiting.iter().map(|(manifest, _)| manifest.id));
        while let Some((manifest, Going { at, cause, why })) = waiting.pop() {
            for held in self.meta.held_by_manifest(manifest.id)? {
                let before = self.base.and_then(|base| base.manifests.get(&held.id));
                let loss = record_loss(self.losses.manifests.entry(held.id), before, (at, cause));
                if loss.lost == held.holders && !self.is_gone(held.id) {
                    self.losses.gone.insert(held.id);
                    let after = Going {
                        at: loss.at.saturating_add(self.retention.hold_period()),
                        cause: loss.cause,
                        why: "its holder is removed".to_owned(),
                    };
                    waiting.push((held, after));
                }
            }
            for blob in self.meta.blobs_of_manifest(manifest.id)? {
                let before = self.base.and_then(|base| base.links.get(&blob.link));
                let loss = record_loss(self.losses.links.entry(blob.link), before, (at, cause));
                if loss.lost == blob.holders {
                    let at = loss.at.saturating_add(self.retention.hold_period());
                    let removed = (blob.blob, blob.digest, blob.size, blob.links);
                    self.remove_link(removed, at, loss.cause);
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
                cause,
                why,
            });
        }
        Ok(())
    }

    /// Removes unreferenced links.
    fn links(&mut self) -> Result<(), meta::Error> {
        let mut after = Cursor::START;
        loop {
            let idle = self.meta.idle_links(Millis::MAX, after, BATCH)?;
            let Some((last, _)) = idle.last() else {
                return Ok(());
            };
            after = *last;
            for (_, link) in idle {
                let at = link.idle_since.saturating_add(self.retention.hold_period());
                let cause = if link.is_released {
                    WaitCause::Undo
                } else {
                    WaitCause::Lease
                };
                self.remove_link((link.blob, link.digest, link.size, link.links), at, cause);
            }
        }
    }

    /// Removes a link to a blob: its number, digest, size in bytes, and number of links.
    pub fn remove_link(
        &mut self,
        (blob, digest, size, links): (BlobId, Digest, u64, u64),
        at: Millis,
        cause: WaitCause,
    ) {
        let loss = record_loss(
            self.losses.blobs.entry(blob),
            self.base.and_then(|base| base.blobs.get(&blob)),
            (at, cause),
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
                cause: loss.cause,
                why,
            });
        }
    }

    /// Removes blobs that are in no repository.
    pub fn blobs(&mut self) -> Result<(), meta::Error> {
        let mut after = Cursor::START;
        loop {
            let idle = self.meta.idle_blobs(Millis::MAX, after, BATCH)?;
            let Some((last, _)) = idle.last() else {
                return Ok(());
            };
            after = *last;
            for (_, blob) in idle {
                // an import of an archive stores manifests as blobs at first
                let (cause, why) = match self.meta.manifests_of(&blob.digest, 1)?.is_empty() {
                    true => (WaitCause::Undo, "no repository links to it"),
                    false => (
                        WaitCause::Lease,
                        "an import left these bytes; the manifest of this digest stays",
                    ),
                };
                self.removals.push(PlannedRemoval {
                    kind: RemovalKind::Blob,
                    repository: None,
                    tag: None,
                    digest: blob.digest,
                    size: blob.size,
                    at: blob.idle_since.saturating_add(self.retention.hold_period()),
                    cause,
                    why: why.to_owned(),
                });
            }
        }
    }
}
