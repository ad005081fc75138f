//! Clients of cached repositories, whose content comes from an upstream and is evicted by age and by size.
//!
//! Every pull succeeds, because the upstream has everything. What is certainly here costs it no request: a pull that needed
//! one would have failed if the upstream had been down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::checked::{CheckedClient, ServerDied};
use crate::crash::random::Random;
use crate::model::campaign::Campaign;
use crate::model::content::{Item, Stock};
use crate::model::journal::short;
use crate::support::hub::Hub;

const REPOSITORIES: usize = 3;
/// Images of each repository.
const IMAGES: u64 = 14;
/// Time after which unused images go.
const UNUSED: Duration = Duration::from_millis(1500);
/// Bytes for which there is room: a fraction of all.
const ROOM: usize = 1500;

/// The cached repositories of a campaign, and their upstream.
pub struct Caches {
    hub: Arc<Hub>,
    repositories: Vec<Mutex<Cache>>,
}

/// A cached repository, with the times until which content is certainly present.
struct Cache {
    /// Name upstream.
    name: String,
    images: Vec<Arc<Item>>,
    manifests: BTreeMap<String, Instant>,
    blobs: BTreeMap<String, Instant>,
    /// Process in which the blobs arrived: a killed one may have lost them.
    process: u64,
}

/// The server's setting for such an upstream.
pub fn environment(hub: &Hub) -> (String, String) {
    let keep = json!({ "unused": format!("{}ms", UNUSED.as_millis()), "size": ROOM });
    let upstream = json!([{ "prefix": "cache", "url": hub.url(), "fresh": "1h", "keep": keep }]);
    ("REGISTRY_UPSTREAMS".to_owned(), upstream.to_string())
}

impl Caches {
    /// Gives the upstream some of the content that clients push to other repositories as well.
    pub fn new(hub: Arc<Hub>, stock: &Stock, mut random: Random) -> Self {
        let repositories = (0..REPOSITORIES).map(|number| {
            let name = format!("some/c{number}");
            let images: Vec<_> = (0..IMAGES)
                .map(|_| {
                    let of = if random.one_in(3) { &stock.indexes } else { &stock.images };
                    Arc::clone(&of[random.below(of.len() as u64) as usize])
                })
                .collect();
            for (number, image) in images.iter().enumerate() {
                offer(&hub, &name, Some(&format!("t{number}")), image, stock);
            }
            Mutex::new(Cache {
                name,
                images,
                manifests: BTreeMap::new(),
                blobs: BTreeMap::new(),
                process: 0,
            })
        });
        let repositories = repositories.collect();
        Self { hub, repositories }
    }
}

/// Adds a manifest to the upstream, with all that it needs.
fn offer(hub: &Hub, repository: &str, tag: Option<&str>, item: &Item, stock: &Stock) {
    for child in &item.children {
        offer(hub, repository, None, &stock.items[child], stock);
    }
    hub.change(repository, |held| {
        let blobs = item.blobs.iter();
        held.blobs
            .extend(blobs.map(|blob| (blob.clone(), stock.blobs[blob].clone())));
    });
    hub.add_manifest(repository, tag, item.media_type, &item.bytes);
}

/// Pulls from cached repositories until the campaign stops.
pub fn run(campaign: &Campaign, random: Random) {
    let mut client = CheckedClient::new(campaign, random);
    let caches = &campaign.caches;
    while !campaign.is_stopped() {
        let number = client.random.below(caches.repositories.len() as u64) as usize;
        let Ok(mut cache) = caches.repositories[number].try_lock() else {
            continue;
        };
        // what a kill interrupts is not repeated
        let _ = client.pull_cached(&caches.hub, &mut cache);
    }
}

impl CheckedClient<'_> {
    fn pull_cached(&mut self, hub: &Hub, cache: &mut Cache) -> Result<(), ServerDied> {
        let number = self.random.below(IMAGES) as usize;
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
        cache.count(campaign, was_sure, is_fetched);
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
        cache.count(campaign, was_sure, is_fetched);
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
    fn count(&self, campaign: &Campaign, was_sure: bool, is_fetched: bool) {
        let counts = &campaign.counts;
        if was_sure {
            counts.cached.add(1);
        }
        if is_fetched {
            counts.fetched.add(1);
        }
    }

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

/// Returns a manifest with its children, and theirs.
fn parts(item: &Arc<Item>, stock: &Stock) -> Vec<Arc<Item>> {
    let mut found = vec![Arc::clone(item)];
    let mut next = 0;
    while let Some(part) = found.get(next).cloned() {
        next += 1;
        let children = part.children.iter();
        found.extend(children.map(|child| Arc::clone(&stock.items[child])));
    }
    found
}
