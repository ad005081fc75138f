//! Cached repositories, and the upstream that has their content.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::content::{Item, Stock};
use crate::crash::random::Random;
use crate::support::hub::Hub;

const REPOSITORIES: usize = 3;
/// Images of each repository.
pub const IMAGES: u64 = 14;
/// Time after which unused images go.
const UNUSED: Duration = Duration::from_millis(1500);
/// Bytes for which there is room: a fraction of all.
const ROOM: usize = 400;

/// The cached repositories of a campaign, and their upstream.
pub struct Caches {
    pub hub: Arc<Hub>,
    pub repositories: Vec<Mutex<Cache>>,
}

/// A cached repository, with the times until which content is certainly present.
pub struct Cache {
    /// Name upstream.
    pub name: String,
    pub images: Vec<Arc<Item>>,
    pub manifests: BTreeMap<String, Instant>,
    pub blobs: BTreeMap<String, Instant>,
    /// Process in which the blobs arrived: a killed one may have lost them.
    pub process: u64,
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
                    let of = if random.one_in(3) {
                        &stock.indexes
                    } else {
                        &stock.images
                    };
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

/// Returns a manifest with its children, and theirs.
pub fn parts(item: &Arc<Item>, stock: &Stock) -> Vec<Arc<Item>> {
    let mut found = vec![Arc::clone(item)];
    let mut next = 0;
    while let Some(part) = found.get(next).cloned() {
        next += 1;
        let children = part.children.iter();
        found.extend(children.map(|child| Arc::clone(&stock.items[child])));
    }
    found
}
