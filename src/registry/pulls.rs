//! Counting pulls without writing at each of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Error, ManifestReference, Registry};
use crate::meta::{ManifestId, Millis, Pulls, StoredManifest, now};
use crate::oci::Digest;

/// How many manifests are counted between two records; pulls of further ones in that time are not.
const CAPACITY: usize = 10_000;

/// Pulls since the last record: for each manifest, how often and when last by each name.
#[derive(Default)]
pub(super) struct PullBuffer(Mutex<HashMap<(ManifestId, Digest), Vec<Count>>>);

struct Count {
    tag: Option<String>,
    count: u64,
    last: Millis,
}

impl Registry {
    /// Counts a pull. HEAD is none, and neither is being told that nothing has changed.
    pub fn count_pull(&self, manifest: &StoredManifest, reference: &ManifestReference) {
        let tag = match reference {
            ManifestReference::Tag(tag) => Some(tag.as_str()),
            ManifestReference::Digest(_) => None,
        };
        let mut counts = self.pulls.0.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Records what was counted since the last time.
    pub async fn record_pulls(&self) -> Result<(), Error> {
        let counts =
            std::mem::take(&mut *self.pulls.0.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return Ok(());
        }
        let pulls: Vec<_> = counts
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
            .collect();
        for some in pulls.chunks(200) {
            let some = some.to_vec();
            self.meta
                .write(move |tx| {
                    Ok::<_, Error>(some.iter().try_for_each(|pulls| tx.add_pulls(pulls))?)
                })
                .await?;
        }
        Ok(())
    }
}
