//! Pull counts, gathered in memory and written in batches.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::meta::{ManifestId, Millis, Pulls, StoredManifest, now};
use crate::oci::Digest;
use crate::registry::content::reference::ManifestReference;

/// Maximum number of manifests counted between two writes; pulls of further manifests are not
/// counted.
const CAPACITY: usize = 10_000;

/// Pulls since the last write: for each manifest and name, their number and the time of the last.
#[derive(Default)]
pub(in crate::registry) struct PullCounts(Mutex<HashMap<(ManifestId, Digest), Vec<Count>>>);

struct Count {
    tag: Option<String>,
    count: u64,
    last: Millis,
}

impl PullCounts {
    /// Counts a pull.
    pub(super) fn count(&self, manifest: &StoredManifest, reference: &ManifestReference) {
        let tag = match reference {
            ManifestReference::Tag(tag) => Some(tag.as_str()),
            ManifestReference::Digest(_) => None,
        };
        let mut counts = self.0.lock();
        let key = (manifest.id, manifest.digest.clone());
        if counts.len() >= CAPACITY && !counts.contains_key(&key) {
            return;
        }
        let names = counts.entry(key).or_default();
        match names.iter_mut().find(|count| count.tag.as_deref() == tag) {
            Some(count) => {
                count.count += 1;
                count.last = now();
            }
            None => names.push(Count {
                tag: tag.map(str::to_owned),
                count: 1,
                last: now(),
            }),
        }
    }

    /// Takes the counts since the last call.
    pub(super) fn take(&self) -> Vec<Pulls> {
        let counts = std::mem::take(&mut *self.0.lock());
        counts
            .into_iter()
            .flat_map(|((manifest, digest), names)| {
                names
                    .into_iter()
                    .map(move |Count { tag, count, last }| Pulls {
                        manifest,
                        digest: digest.clone(),
                        tag,
                        count,
                        last,
                    })
            })
            .collect()
    }
}
