//! Eviction by size under load: many images through a cache that is far too small for them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::eviction::tags;
use crate::crash::random::Random;
use crate::support::hub::Hub;
use crate::support::{Client, Image, Server, eventually, noise, sha256};

const IMAGES: u64 = 40;
const CLIENTS: u64 = 8;
const LEASE: Duration = Duration::from_millis(800);
/// Time that a client takes between two pieces of an image.
const STEP: Duration = Duration::from_millis(180);
/// Size of a layer, in bytes.
const LAYER: usize = 40_000;
/// Bytes for which the cache has room: three images.
const ROOM: u64 = 9 * LAYER as u64;
const TIME: Duration = Duration::from_secs(12);

/// An image that one client pulls at a time, in a repository of its own.
struct Pulled {
    name: String,
    image: Mutex<Image>,
}

#[derive(Default)]
struct Counts {
    /// Pulls that began with what was here, and were in time.
    warm: AtomicU64,
    cold: AtomicU64,
    /// Pulls that began with what was here, and took too long to prove anything.
    late: AtomicU64,
}

/// No pull ever gets wrong bytes, and none that begins with what is here asks the upstream for what it needs then: it could
/// be down. The size comes down.
#[test]
fn no_pull_breaks_while_the_least_recently_used_makes_room() {
    let hub = Hub::start();
    let pulled: Vec<_> = (0..IMAGES).map(|number| pulled(&hub, number)).collect();
    let upstream =
        json!([{ "prefix": "hub", "url": hub.url(), "fresh": "1h", "keep": { "size": ROOM } }]);
    let (upstreams, lease) = (upstream.to_string(), format!("{}ms", LEASE.as_millis()));
    let server = Server::with(&[
        ("REGISTRY_UPSTREAMS", &*upstreams),
        ("REGISTRY_GC_LEASE", &*lease),
        ("REGISTRY_GC_GRACE", "100ms"),
        ("REGISTRY_GC_INTERVAL", "5ms"),
    ]);
    let counts = Counts::default();
    let seed = Random::seed_from("CROWDED_SEED");
    let began = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (hub, server, pulled, counts) = (&hub, &server, &pulled, &counts);
            scope.spawn(move || {
                let mut random = Random::part(seed, number);
                let mut client = server.client();
                while began.elapsed() < TIME {
                    let one = &pulled[random.below(IMAGES) as usize];
                    if let Ok(image) = one.image.try_lock() {
                        // at once, and then as a client does with little bandwidth, while it may go
                        let pull = Pull {
                            hub,
                            pulled: one,
                            image: &image,
                            counts,
                        };
                        pull.run(&mut client, Duration::ZERO, Duration::ZERO);
                        let mut wait = || LEASE * random.below(9) as u32 / 20;
                        std::thread::sleep(wait());
                        pull.run(&mut client, wait(), STEP);
                    }
                }
            });
        }
    });
    let [warm, cold, late] =
        [&counts.warm, &counts.cold, &counts.late].map(|count| count.load(Ordering::Relaxed));
    println!("CROWDED_SEED={seed}: {warm} warm pulls and {late} late ones, {cold} cold ones");
    assert!(
        warm > 20 && cold > 20,
        "too few pulls to count: {warm} warm, {cold} cold"
    );
    assert!(
        late < warm,
        "the machine is too busy, most pulls prove nothing"
    );
    assert!(
        server.log().contains("evicted cached images"),
        "{}",
        server.log()
    );
    eventually("the size is under the limit", || {
        let size = |path: &std::path::PathBuf| path.metadata().map_or(0, |file| file.len());
        server.blob_files().iter().map(size).sum::<u64>() <= ROOM
    });
    let left = tags(&server);
    assert!((1..=3).contains(&left.len()), "what fits stays: {left:?}");
}

fn pulled(hub: &Hub, number: u64) -> Pulled {
    // pairs share a layer
    let layers = [number / 2, 1000 + number, 2000 + number];
    let layers = layers.map(|layer| noise(layer, LAYER)).to_vec();
    let image = Image::new(&format!("crowded {number}"), layers);
    let name = format!("crowd/i{number:02}");
    hub.add(&name, "1", &image);
    Pulled {
        name,
        image: Mutex::new(image),
    }
}

struct Pull<'p> {
    hub: &'p Hub,
    pulled: &'p Pulled,
    image: &'p Image,
    counts: &'p Counts,
}

impl Pull<'_> {
    fn get(&self, client: &mut Client, what: &str, bytes: &[u8]) {
        let answer = client.get(&format!("/v2/hub/{}/{what}", self.pulled.name));
        let (status, is_right) = (answer.status, answer.body == bytes);
        assert!(
            status == 200 && is_right,
            "{what} of {}: {status}",
            self.pulled.name
        );
    }

    /// Pulls as containerd does: the tag by HEAD, after a while the manifest, then blob after blob, with a pause before each.
    fn run(&self, client: &mut Client, wait: Duration, pause: Duration) {
        let asked = || self.hub.fetches_from(&self.pulled.name);
        let before = asked();
        let used = Instant::now();
        let found = client.head(&format!("/v2/hub/{}/manifests/1", self.pulled.name));
        assert_eq!(found.status, 200, "{}: {found:?}", self.pulled.name);
        let is_warm = asked() == before;
        std::thread::sleep(wait);
        let begun = Instant::now();
        let manifest = format!("manifests/{}", self.image.digest());
        self.get(client, &manifest, &self.image.manifest);
        let is_late = used.elapsed() > LEASE / 2;
        for blob in self.image.layers.iter().chain([&self.image.config]) {
            std::thread::sleep(pause);
            self.get(client, &format!("blobs/{}", sha256(blob)), blob);
        }
        // an image may go half a lease after its last use, and its blobs a lease later
        let is_late = is_late || begun.elapsed() > LEASE + LEASE / 2;
        let counts = self.counts;
        let count = match (is_warm, is_late) {
            (true, true) => &counts.late,
            (true, false) => &counts.warm,
            (false, _) => &counts.cold,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if is_warm && !is_late {
            let name = &self.pulled.name;
            assert_eq!(
                asked(),
                before,
                "{name} was incomplete in the middle of a pull"
            );
        }
    }
}
