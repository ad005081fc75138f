//! Clients of cached repositories, whose content comes from an upstream and is evicted by age and by size.
//!
//! Every pull succeeds, because the upstream has everything. What is certainly here costs it no request: a pull that needed
//! one would have failed if the upstream had been down.

use std::sync::Arc;
use std::time::Instant;

use super::checked::{CheckedClient, ServerDied};
use crate::crash::random::Random;
use crate::model::caches::{Cache, IMAGES, parts};
use crate::model::campaign::Campaign;
use crate::model::content::Item;
use crate::model::journal::short;
use crate::support::hub::Hub;

/// Pulls from cached repositories until the campaign stops.
pub fn run(campaign: &Campaign, random: Random) {
    let mut client = CheckedClient::new(campaign, random);
    let caches = &campaign.caches;
    while !campaign.is_stopped() {
        let number = client.random.below(caches.repositories.len() as u64) as usize;
        let Ok(mut cache) = caches.repositories[number].try_lock() else {
            continue;
        };
        let image = client.random.below(IMAGES) as usize;
        // what a kill interrupts is not repeated
        let pulled = client.pull_cached(&caches.hub, &mut cache, image);
        let _ = match client.random.below(4) {
            _ if pulled.is_err() => continue,
            // while it is certainly here, or just before it goes
            0 => client.pull_cached(&caches.hub, &mut cache, image),
            1 | 2 => client.read_late(&caches.hub, &mut cache, image),
            _ => Ok(()),
        };
    }
}

impl CheckedClient<'_> {
    /// Asks for the blobs of an image that was pulled a while ago: it may be evicted by now, and its blobs stay for a lease.
    fn read_late(&mut self, hub: &Hub, cache: &mut Cache, number: usize) -> Result<(), ServerDied> {
        let image = Arc::clone(&cache.images[number]);
        let retention = self.campaign.retention;
        let late = retention.lease * self.random.below(8) as u32 / 10;
        std::thread::sleep(retention.promise() + late);
        let blobs = image.blobs.iter();
        blobs
            .take(2)
            .try_for_each(|blob| self.get_cached_blob(hub, cache, blob))
    }

    fn pull_cached(
        &mut self,
        hub: &Hub,
        cache: &mut Cache,
        number: usize,
    ) -> Result<(), ServerDied> {
        let image = Arc::clone(&cache.images[number]);
        let rest = self.campaign.retention.promise();
        match self.random.below(3) {
            0 => self.get_manifest(hub, cache, "GET", &format!("t{number}"), &image)?,
            1 => {
                self.get_manifest(hub, cache, "HEAD", &format!("t{number}"), &image)?;
                std::thread::sleep(rest * self.random.below(9) as u32 / 10);
                self.get_manifest(hub, cache, "GET", &image.digest, &image)?;
            }
            _ => self.get_manifest(hub, cache, "GET", &image.digest, &image)?,
        }
        let mut waiting = vec![image];
        while let Some(item) = waiting.pop() {
            for child in &item.children {
                if !self.random.one_in(3) {
                    let child = Arc::clone(&self.campaign.stock.items[child]);
                    self.get_manifest(hub, cache, "GET", &child.digest, &child)?;
                    waiting.push(child);
                }
            }
            for blob in &item.blobs {
                if !self.random.one_in(4) {
                    if self.random.one_in(8) {
                        std::thread::sleep(rest * self.random.below(12) as u32 / 4);
                    }
                    self.get_cached_blob(hub, cache, blob)?;
                }
            }
        }
        Ok(())
    }

    /// Asks for a manifest, which must come, and from here if it is certainly here.
    fn get_manifest(
        &mut self,
        hub: &Hub,
        cache: &mut Cache,
        method: &str,
        reference: &str,
        item: &Arc<Item>,
    ) -> Result<(), ServerDied> {
        let campaign = self.campaign;
        let path = format!("/v2/cache/{}/manifests/{reference}", cache.name);
        let asked = hub.fetches_from(&cache.name);
        let answer = self.send(method, &path)?;
        let is_right = method == "HEAD" || answer.response.body == item.bytes;
        if answer.status() != 200 || !is_right {
            let message = format!("{method} {path}: {}, or other bytes", answer.status());
            campaign.violated(&[short(&item.digest), &path], &message);
        }
        let is_sure = |until: &Instant| campaign.slack.is_sure(*until, answer.now);
        let was_sure = cache.manifests.get(&item.digest).is_some_and(is_sure);
        let is_fetched = hub.fetches_from(&cache.name) != asked;
        campaign.counts.cached.add(u64::from(was_sure));
        campaign.counts.fetched.add(u64::from(is_fetched));
        if was_sure && is_fetched {
            let message = format!("{method} {path}: it was evicted too early");
            campaign.violated(&[short(&item.digest), &cache.name], &message);
        }
        cache.used(campaign, item, answer.sent, answer.now);
        Ok(())
    }

    fn get_cached_blob(
        &mut self,
        hub: &Hub,
        cache: &mut Cache,
        blob: &str,
    ) -> Result<(), ServerDied> {
        let campaign = self.campaign;
        let (process, _) = campaign.process.current();
        if process != cache.process {
            cache.blobs.clear();
            cache.process = process;
        }
        let path = format!("/v2/cache/{}/blobs/{blob}", cache.name);
        let asked = hub.fetches_from(&cache.name);
        let answer = self.send("GET", &path)?;
        if answer.status() != 200 || answer.response.body != campaign.stock.blobs[blob] {
            let message = format!("GET {path}: {}, or other bytes", answer.status());
            campaign.violated(&[short(blob), &path], &message);
        }
        let is_sure = |until: &Instant| campaign.slack.is_sure(*until, answer.now);
        let was_sure = cache.blobs.get(blob).is_some_and(is_sure);
        let is_fetched = hub.fetches_from(&cache.name) != asked;
        campaign.counts.cached.add(u64::from(was_sure));
        campaign.counts.fetched.add(u64::from(is_fetched));
        if was_sure && is_fetched {
            let message = format!("GET {path}: it was collected while an image needs it");
            campaign.violated(&[short(blob), &cache.name], &message);
        }
        let promised = answer.sent + campaign.retention.promise();
        let needing = campaign.stock.items.values();
        let held = needing
            .filter(|item| item.blobs.iter().any(|needed| needed == blob))
            .filter_map(|item| cache.manifests.get(&item.digest))
            .filter(|until| is_sure(until))
            .map(|until| *until + campaign.retention.lease);
        let until = held.fold(promised, Instant::max);
        let known = cache.blobs.entry(blob.to_owned()).or_insert(until);
        *known = until.max(*known);
        Ok(())
    }
}

impl Cache {
    /// Records a use of a manifest: it stays for half a lease, with the rest of each image that it is a part of.
    fn used(&mut self, campaign: &Campaign, item: &Arc<Item>, sent: Instant, now: Instant) {
        let until = sent + campaign.retention.promise();
        let stock = &campaign.stock;
        let is_sure = |found: Option<&Instant>| {
            found.is_some_and(|until| campaign.slack.is_sure(*until, now))
        };
        let mut together = parts(item, stock);
        for index in &stock.indexes {
            if is_sure(self.manifests.get(&index.digest)) {
                let parts = parts(index, stock);
                if parts.iter().any(|part| part.digest == item.digest) {
                    together.extend(parts);
                }
            }
        }
        for part in together {
            let is_itself = part.digest == item.digest;
            if !is_itself && !is_sure(self.manifests.get(&part.digest)) {
                continue;
            }
            let known = self.manifests.entry(part.digest.clone()).or_insert(until);
            *known = until.max(*known);
            let blobs_until = *known + campaign.retention.lease;
            for blob in &part.blobs {
                if let Some(known) = self.blobs.get_mut(blob)
                    && is_sure(Some(known))
                {
                    *known = blobs_until.max(*known);
                }
            }
        }
    }
}
