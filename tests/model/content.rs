//! Pushed content: a small, fixed stock of manifests and blobs, so that the same ones return again
//! and again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::crash::audit::references_of;
use crate::crash::random::Random;
use crate::support::{Image, OCI_INDEX, OCI_MANIFEST, descriptor, noise, sha256};

const LAYERS: u64 = 14;
const IMAGES: u64 = 36;
const INDEXES: u64 = 12;
const REFERRERS: u64 = 24;
const PREY: u64 = 40;

/// A manifest and its references.
#[derive(Debug)]
pub struct Item {
    pub digest: String,
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
    pub blobs: Vec<String>,
    pub children: Vec<String>,
    pub subject: Option<String>,
    /// For a signature by tag: the signed image and the tag.
    pub signs: Option<(String, String)>,
}

/// All content to push in one campaign.
pub struct Stock {
    pub items: BTreeMap<String, Arc<Item>>,
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub images: Vec<Arc<Item>>,
    pub indexes: Vec<Arc<Item>>,
    pub referrers: Vec<Arc<Item>>,
    pub signatures: Vec<Arc<Item>>,
    /// Blobs of the manifests above.
    pub shared: Vec<String>,
    /// Blobs that no manifest needs, per client.
    pub unneeded: Vec<Vec<String>>,
}

impl Stock {
    pub fn new(seed: u64, racers: u64) -> Self {
        let mut stock = Self {
            items: BTreeMap::new(),
            blobs: BTreeMap::new(),
            images: Vec::new(),
            indexes: Vec::new(),
            referrers: Vec::new(),
            signatures: Vec::new(),
            shared: Vec::new(),
            unneeded: Vec::new(),
        };
        let mut random = Random::part(seed, 1);
        let layers: Vec<_> = (0..LAYERS)
            .map(|number| noise(seed ^ number, 40 + 17 * number as usize))
            .collect();
        for number in 0..IMAGES {
            let count = 1 + random.below(3);
            let image = stock.image(
                &format!("{seed:x} {number}"),
                pick(&mut random, &layers, count),
            );
            stock.images.push(image);
        }
        for _ in 0..INDEXES {
            // of images that are pushed separately too, and sometimes of other indexes
            let count = 1 + random.below(3);
            let mut children = pick(&mut random, &stock.images, count);
            if random.one_in(4) {
                children.extend(stock.indexes.last().cloned());
            }
            let index = stock.index(&children);
            stock.indexes.push(index);
        }
        for number in 0..REFERRERS {
            let of = match number % 4 {
                0 | 1 => &stock.images,
                2 => &stock.indexes,
                _ => &stock.referrers,
            };
            let subject = Arc::clone(&of[random.below(of.len() as u64) as usize]);
            let referrer = stock.referrer(&subject, &format!("{seed:x} {number}"));
            stock.referrers.push(referrer);
        }
        for number in 0..8 {
            let subject = Arc::clone(&stock.images[number]);
            let signature = stock.signature(&subject, &layers[0]);
            stock.signatures.push(signature);
        }
        stock.shared = stock.blobs.keys().cloned().collect();
        for racer in 0..racers {
            let unneeded: Vec<_> = (0..PREY)
                .map(|number| noise(seed ^ (1000 * (racer + 1) + number), 30))
                .collect();
            stock
                .unneeded
                .push(unneeded.iter().map(|blob| sha256(blob)).collect());
            stock.keep(unneeded);
        }
        stock
    }

    fn add(
        &mut self,
        media_type: &'static str,
        bytes: Vec<u8>,
        subject: Option<&Item>,
        signs: Option<(String, String)>,
    ) -> Arc<Item> {
        let digest = sha256(&bytes);
        let (mut blobs, mut children) = (Vec::new(), Vec::new());
        let into = if media_type == OCI_INDEX {
            &mut children
        } else {
            &mut blobs
        };
        into.extend(references_of(&bytes));
        let subject = subject.map(|subject| subject.digest.clone());
        let item = Arc::new(Item {
            digest: digest.clone(),
            media_type,
            bytes,
            blobs,
            children,
            subject,
            signs,
        });
        self.items.insert(digest, Arc::clone(&item));
        item
    }

    fn keep(&mut self, blobs: impl IntoIterator<Item = Vec<u8>>) {
        self.blobs
            .extend(blobs.into_iter().map(|blob| (sha256(&blob), blob)));
    }

    fn image(&mut self, name: &str, layers: Vec<Vec<u8>>) -> Arc<Item> {
        let Image {
            config,
            layers,
            manifest,
        } = Image::new(name, layers);
        self.keep(layers.into_iter().chain([config]));
        self.add(OCI_MANIFEST, manifest, None, None)
    }

    fn index(&mut self, children: &[Arc<Item>]) -> Arc<Item> {
        let described: Vec<_> = children
            .iter()
            .map(|child| descriptor(child.media_type, &child.bytes))
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": described });
        self.add(OCI_INDEX, index.to_string().into_bytes(), None, None)
    }

    /// A referrer as `oras attach` makes it.
    fn referrer(&mut self, subject: &Item, name: &str) -> Arc<Item> {
        let (config, layer) = (b"{}".to_vec(), format!("about {name}").into_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example.about",
            "config": descriptor("application/vnd.oci.empty.v1+json", &config),
            "layers": [descriptor("text/plain", &layer)],
            "subject": descriptor(subject.media_type, &subject.bytes),
        });
        self.keep([config, layer]);
        self.add(
            OCI_MANIFEST,
            manifest.to_string().into_bytes(),
            Some(subject),
            None,
        )
    }

    /// A signature as cosign makes it: an image tied to its subject only by the tag.
    fn signature(&mut self, subject: &Item, layer: &[u8]) -> Arc<Item> {
        let name = format!("{}.sig", subject.digest.replace(':', "-"));
        let Image {
            config,
            layers,
            manifest,
        } = Image::new(&name, vec![layer.to_vec()]);
        self.keep(layers.into_iter().chain([config]));
        self.add(
            OCI_MANIFEST,
            manifest,
            None,
            Some((subject.digest.clone(), name)),
        )
    }
}

fn pick<T: Clone>(random: &mut Random, of: &[T], count: u64) -> Vec<T> {
    let mut numbers: Vec<_> = (0..count)
        .map(|_| random.below(of.len() as u64) as usize)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
        .into_iter()
        .map(|number| of[number].clone())
        .collect()
}
