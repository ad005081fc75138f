//! Evictions of cached images: unused ones, and those beyond the size of a cache.
//!
//! The least recently used image goes first, as a whole and in one change: its manifest, with the children and referrers
//! that nothing else holds. The change judges again: an image that was used since, also one whose use is not recorded yet,
//! stays. Its blobs are released as by every deletion, and stay for the lease of a cache.

use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use crate::meta::{
    self, Actor, BlobId, CacheScope, CachedImage, ManifestId, Millis, RepositoryId, WriteTx, lived,
    millis, now,
};
use crate::oci::Digest;
use crate::registry::error::Error;
use crate::registry::gc::eviction_counters::EvictionRule;
use crate::registry::gc::run::{SweepBy, SweepOptions, SweepRun, gc_actor};
use crate::registry::gc::sweep_counts::SweepCounts;
use crate::registry::policy::cache_rule::CacheRule;
use crate::registry::service::Registry;

/// Maximum number of images read at once.
const BATCH: usize = 200;
/// Maximum number of images that a rule evicts in one sweep.
const MOST: usize = 1000;
/// Maximum number of evicted images that are named.
const NAMED: usize = 20;

/// Images that one rule evicts.
#[derive(Clone)]
struct Eviction {
    registry: Registry,
    sweep: Arc<SweepOptions>,
    scope: CacheScope,
    rule: CacheRule,
    why: EvictionRule,
    actor: Actor,
    /// Images used after this time stay.
    cutoff: Millis,
    /// Bytes that are still to be released.
    excess: Arc<AtomicU64>,
    among: Among,
}

/// Images among which a rule chooses.
#[derive(Clone)]
enum Among {
    All,
    /// Those that are larger than the cache by themselves.
    Large(Arc<LargeImages>),
    /// All others.
    Others(Arc<LargeImages>),
}

/// Images that are larger than the cache by themselves, each with its size in bytes.
type LargeImages = HashMap<ManifestId, u64>;

impl Among {
    fn has(&self, image: ManifestId) -> bool {
        match self {
            Self::All => true,
            Self::Large(large) => large.contains_key(&image),
            Self::Others(large) => !large.contains_key(&image),
        }
    }
}

/// An image that was evicted.
struct Evicted {
    image: String,
    manifests: u64,
    tags: u64,
    /// Bytes of blobs that no image of the cache needs any more.
    bytes: u64,
}

impl SweepRun<'_> {
    /// Evicts cached images by the rules of their upstreams.
    ///
    /// Only a server does, because it alone knows all uses, and not at once: one that was killed has forgotten its last
    /// ones. What an upstream that fails could not send again stays.
    pub(super) async fn evictions(&mut self) -> Result<(), Error> {
        let sweep = Arc::clone(&self.sweep);
        let rest = sweep.retention.cache_rest();
        if sweep.by == SweepBy::Command
            || sweep.retention.caches.is_empty()
            || self.registry.evictions.age() < rest
        {
            return Ok(());
        }
        for rule in &sweep.retention.caches {
            let name = rule.name.clone();
            let is_failing = move |meta: &meta::Reader<'_>| meta.is_upstream_failing(&name);
            if !self.registry.scan(is_failing).await? {
                self.unused(rule).await?;
                self.beyond_size(rule).await?;
            }
        }
        Ok(())
    }

    async fn unused(&mut self, rule: &CacheRule) -> Result<(), Error> {
        match rule.unused {
            Some(unused) if self.registry.evictions.begin_look(&rule.name, unused) => {
                let cutoff = now().saturating_sub(millis(unused));
                let all = Among::All;
                self.evict(rule, EvictionRule::Unused, cutoff, u64::MAX, all)
                    .await
            }
            _ => Ok(()),
        }
    }

    async fn beyond_size(&mut self, rule: &CacheRule) -> Result<(), Error> {
        let Some(size) = rule.size else {
            return Ok(());
        };
        let (excess, large) = self.excess(rule, size).await?;
        if large.is_empty() {
            return self.shrink(rule, excess, Among::All).await;
        }
        // one that can never fit goes by itself: it would take everything else with it
        let among = Among::Large(Arc::new(large));
        self.shrink(rule, excess, among).await?;
        let (excess, large) = self.excess(rule, size).await?;
        let rest = excess.saturating_sub(large.values().sum());
        self.shrink(rule, rest, Among::Others(Arc::new(large)))
            .await
    }

    /// Returns the bytes by which a cache is larger than it may be, and the images that alone are.
    async fn excess(&mut self, rule: &CacheRule, size: u64) -> Result<(u64, LargeImages), Error> {
        let scope = CacheScope::below(&rule.name);
        let look = move |meta: &meta::Reader<'_>| {
            let excess = meta.kept_size(&scope)?.saturating_sub(size);
            let large = match excess {
                0 => LargeImages::new(),
                _ => meta.large_images(&scope, size)?,
            };
            Ok((excess, large))
        };
        self.registry.scan(look).await
    }

    async fn shrink(&mut self, rule: &CacheRule, excess: u64, among: Among) -> Result<(), Error> {
        match excess {
            0 => Ok(()),
            excess => {
                self.evict(rule, EvictionRule::Size, now(), excess, among)
                    .await
            }
        }
    }

    /// Evicts images that were last used by `cutoff`, oldest first, until that many bytes are released.
    async fn evict(
        &mut self,
        rule: &CacheRule,
        why: EvictionRule,
        cutoff: Millis,
        excess: u64,
        among: Among,
    ) -> Result<(), Error> {
        let retention = &self.sweep.retention;
        let rest = millis(retention.cache_rest());
        let eviction = Eviction {
            registry: self.registry.clone(),
            sweep: Arc::clone(&self.sweep),
            scope: CacheScope::below(&rule.name),
            rule: rule.clone(),
            why,
            actor: gc_actor(&why.reason(rule)),
            cutoff: cutoff.min(now().saturating_sub(rest)),
            excess: Arc::new(AtomicU64::new(excess)),
            among,
        };
        let images = self.oldest(&eviction).await?;
        let (sender, evicted) = mpsc::channel();
        let act = move |tx: &WriteTx<'_>, image: &CachedImage| {
            let Some(evicted) = eviction.evict(tx, image)? else {
                return Ok(SweepCounts::default());
            };
            let counts = SweepCounts {
                manifests: evicted.manifests,
                tags: evicted.tags,
                ..SweepCounts::default()
            };
            // the receiver outlives the evictions
            let _ = sender.send(evicted);
            Ok(counts)
        };
        let outcome = self.apply_all(images.into_iter(), act).await;
        self.registry.uses.end_evictions();
        self.tell_evicted(rule, why, evicted.try_iter().collect());
        outcome
    }

    /// Lists images that may be evicted, the one that was used least recently first; those that are fetched ahead come last.
    async fn oldest(&mut self, eviction: &Eviction) -> Result<Vec<CachedImage>, Error> {
        let mut oldest = BinaryHeap::new();
        let mut after = (String::new(), String::new());
        loop {
            let (work, from) = (eviction.clone(), after.clone());
            let page = self.registry.scan(move |meta| work.page(meta, &from));
            let Some((last, candidates)) = page.await? else {
                break;
            };
            after = last;
            for candidate in candidates {
                oldest.push(candidate);
                if oldest.len() > MOST {
                    oldest.pop();
                }
            }
        }
        let oldest = oldest.into_sorted_vec().into_iter();
        Ok(oldest.map(|candidate| candidate.image).collect())
    }

    /// Logs and counts what a rule has evicted.
    fn tell_evicted(&self, rule: &CacheRule, why: EvictionRule, evicted: Vec<Evicted>) {
        if evicted.is_empty() {
            return;
        }
        let (images, bytes) = (
            evicted.len() as u64,
            evicted.iter().map(|image| image.bytes).sum(),
        );
        let counters = &self.registry.evictions;
        counters.count(&rule.name, why, images, bytes);
        let names: Vec<_> = evicted
            .into_iter()
            .take(NAMED)
            .map(|evicted| evicted.image)
            .collect();
        tracing::info!(
            upstream = rule.name,
            rule = why.as_str(),
            images,
            bytes,
            names = names.join(" "),
            "evicted cached images: {}",
            why.reason(rule)
        );
    }
}

impl Eviction {
    /// Reads a page of images after a place; returns the next place, and those that may go.
    fn page(
        &self,
        meta: &meta::Reader<'_>,
        after: &(String, String),
    ) -> Result<Option<(Place, Vec<Candidate>)>, meta::Error> {
        let page = meta.cached_images(&self.scope, (&after.0, &after.1), BATCH)?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        let next = (last.repository.clone(), last.digest.to_string());
        let mut candidates = Vec::new();
        for image in page {
            let may_go = !image.is_gone && self.among.has(image.id);
            if !may_go || lived(image.used_at) > self.cutoff {
                continue;
            }
            let is_ahead = self.rule.is_image_ahead(meta, &image)?;
            if !is_ahead || self.why == EvictionRule::Size {
                candidates.push(Candidate { is_ahead, image });
            }
        }
        Ok(Some((next, candidates)))
    }

    /// Evicts an image if it still may go; the caller's change is the whole eviction.
    fn evict(&self, tx: &WriteTx<'_>, found: &CachedImage) -> Result<Option<Evicted>, Error> {
        if self.excess.load(Ordering::Relaxed) == 0 {
            return Ok(None);
        }
        let Some(image) = tx.cached_image(found.id)?.filter(|image| {
            image.digest == found.digest
                && image.repository == found.repository
                && !image.is_gone
                && lived(image.used_at) <= self.cutoff
        }) else {
            return Ok(None);
        };
        let parts = tx.image_parts(image.id)?;
        let mut tags = Vec::new();
        for (part, _) in &parts {
            tags.extend(tx.tags_on(*part)?);
        }
        let retention = &self.sweep.retention;
        let is_pinned = |tag: &String| retention.is_pinned(&image.repository, tag);
        // the last look: a use from here on finds that the image is being evicted
        let is_ahead = self.rule.is_ahead(&image.repository, &tags);
        if tags.iter().any(is_pinned)
            || (is_ahead && self.why == EvictionRule::Unused)
            || !self.registry.uses.begin_eviction(&parts)
        {
            return Ok(None);
        }
        let named = tx.tags_on(image.id)?;
        let (manifests, blobs) = self.delete(tx, image.id, parts)?;
        let bytes = self.release(tx, image.repository_id, blobs)?;
        let _ = self
            .excess
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |excess| {
                Some(excess.saturating_sub(bytes))
            });
        Ok(Some(Evicted {
            image: match named.first() {
                Some(tag) => format!("{}:{tag}", image.repository),
                None => format!("{}@{}", image.repository, image.digest),
            },
            manifests,
            tags: named.len() as u64,
            bytes,
        }))
    }

    /// Deletes a manifest, and those parts of its image that nothing else holds then.
    ///
    /// Returns their number, and the blobs that they needed.
    fn delete(
        &self,
        tx: &WriteTx<'_>,
        root: ManifestId,
        parts: Vec<(ManifestId, Digest)>,
    ) -> Result<(u64, Vec<BlobId>), Error> {
        let (mut deleted, mut blobs) = (0, Vec::new());
        let mut waiting: Vec<_> = parts.into_iter().map(|(part, _)| part).collect();
        loop {
            let mut held = Vec::new();
            for part in &waiting {
                if *part == root || tx.idle_manifest(*part)?.is_some() {
                    blobs.extend(
                        tx.blobs_of_manifest(*part)?
                            .into_iter()
                            .map(|blob| blob.blob),
                    );
                    tx.delete_manifest(*part, &self.actor, now())?;
                    deleted += 1;
                } else {
                    held.push(*part);
                }
            }
            if held.len() == waiting.len() {
                break;
            }
            waiting = held;
        }
        blobs.sort_unstable();
        blobs.dedup();
        Ok((deleted, blobs))
    }

    /// Lets blobs that nothing needs any more go after the lease of a cache.
    ///
    /// Returns the bytes by which the cache shrinks.
    fn release(
        &self,
        tx: &WriteTx<'_>,
        repository: RepositoryId,
        blobs: Vec<BlobId>,
    ) -> Result<u64, Error> {
        let (retention, mut bytes) = (&self.sweep.retention, 0);
        let sooner = retention.hold_period() - millis(retention.cache_lease());
        let since = now().saturating_sub(sooner);
        for blob in blobs {
            tx.set_idle_since(repository, blob, since)?;
            bytes += tx.size_if_unneeded(&self.scope, blob)?.unwrap_or(0);
        }
        Ok(bytes)
    }
}

/// Repository and digest of an image.
type Place = (String, String);

/// An image that may go, ordered by the time of its last use; those that are fetched ahead come after all others.
struct Candidate {
    is_ahead: bool,
    image: CachedImage,
}

impl Candidate {
    fn key(&self) -> (bool, Millis, &str, &str) {
        let image = &self.image;
        (
            self.is_ahead,
            image.used_at,
            &image.repository,
            image.digest.as_str(),
        )
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
