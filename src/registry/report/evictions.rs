//! Forecast of evictions: cached images that go because of the limits of their upstreams.

use std::collections::HashMap;

use crate::meta::{self, CacheScope, CachedImage, HeldManifest, ManifestId, Millis, lived, millis};
use crate::registry::gc::eviction_counters::EvictionRule;
use crate::registry::policy::cache_rule::CacheRule;
use crate::registry::report::losses::Going;
use crate::registry::report::removal::WaitCause;
use crate::registry::report::simulation::Simulation;

/// Maximum number of images read at once.
const BATCH: usize = 200;

impl Simulation<'_> {
    /// Removes the cached images that a server evicts, now or once they have not been used for long enough.
    pub fn evictions(&mut self, now: Millis) -> Result<(), meta::Error> {
        for rule in &self.retention().caches {
            if !self.meta().is_upstream_failing(&rule.name)? {
                let mut images = self.evictable(rule)?;
                images.sort_by_key(|(is_ahead, image)| (*is_ahead, image.used_at));
                let scope = CacheScope::below(&rule.name);
                let large = match rule.size {
                    Some(size) => self.meta().large_images(&scope, size)?,
                    None => HashMap::new(),
                };
                // those that can never fit come first, and nothing else goes for them
                images.sort_by_key(|(_, image)| !large.contains_key(&image.id));
                self.evict_by(rule, images, &large, now)?;
            }
        }
        Ok(())
    }

    /// Lists the images of a cache that may go, and whether each is fetched ahead.
    fn evictable(&self, rule: &CacheRule) -> Result<Vec<(bool, CachedImage)>, meta::Error> {
        let (scope, mut found) = (CacheScope::below(&rule.name), Vec::new());
        let mut after = (String::new(), String::new());
        loop {
            let page = self
                .meta()
                .cached_images(&scope, (&after.0, &after.1), BATCH)?;
            let Some(last) = page.last() else {
                return Ok(found);
            };
            after = (last.repository.clone(), last.digest.to_string());
            for image in page {
                let tags = self.meta().tags_on(image.id)?;
                let is_pinned = |tag: &String| self.retention().is_pinned(&image.repository, tag);
                if !image.is_gone && !tags.iter().any(is_pinned) {
                    found.push((rule.is_image_ahead(self.meta(), &image)?, image));
                }
            }
        }
    }

    /// Removes images, of which the first were used least recently.
    fn evict_by(
        &mut self,
        rule: &CacheRule,
        images: Vec<(bool, CachedImage)>,
        large: &HashMap<ManifestId, u64>,
        now: Millis,
    ) -> Result<(), meta::Error> {
        let kept = self.meta().kept_size(&CacheScope::below(&rule.name))?;
        let mut excess = rule.size.map_or(0, |size| kept.saturating_sub(size));
        let mut beyond_others = excess.saturating_sub(large.values().sum());
        let rest = millis(self.retention().cache_rest());
        for (is_ahead, image) in images {
            let used_at = lived(image.used_at);
            let excess = match large.contains_key(&image.id) {
                true => &mut excess,
                false => &mut beyond_others,
            };
            let is_due = |unused: Millis| used_at.saturating_add(unused) <= now;
            let unused = rule.unused.map(millis).filter(|_| !is_ahead);
            let (why, at) = match unused {
                Some(unused) if is_due(unused) || *excess == 0 => {
                    (EvictionRule::Unused, used_at.saturating_add(unused))
                }
                None if *excess == 0 => continue,
                _ => (EvictionRule::Size, now),
            };
            let going = Going {
                at: at.max(used_at.saturating_add(rest)),
                cause: WaitCause::Cache,
                why: why.reason(rule),
            };
            if let Some(root) = self.meta().held_manifest(image.id)? {
                let parts = self.parts_of(root)?;
                for part in &parts {
                    for blob in self.meta().blobs_of_manifest(part.id)? {
                        let is_last = blob.holders <= 1;
                        *excess = excess.saturating_sub(if is_last { blob.size } else { 0 });
                    }
                }
                self.remove_manifests(parts, &going)?;
            }
        }
        Ok(())
    }

    /// Lists a manifest with the children and referrers that nothing else holds.
    fn parts_of(&self, root: HeldManifest) -> Result<Vec<HeldManifest>, meta::Error> {
        let mut lost: HashMap<ManifestId, u64> = HashMap::new();
        let (mut parts, mut next) = (vec![root], 0);
        while let Some(part) = parts.get(next) {
            next += 1;
            for held in self.meta().held_by_manifest(part.id)? {
                let lost = lost.entry(held.id).or_default();
                *lost += 1;
                if *lost == held.holders {
                    parts.push(held);
                }
            }
        }
        Ok(parts)
    }
}
