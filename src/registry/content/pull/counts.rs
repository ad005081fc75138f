//! Uses of manifests, gathered in memory and written in batches.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;

use crate::meta::{ManifestId, ManifestUses, StoredManifest, now};
use crate::oci::Digest;
use crate::registry::content::reference::ManifestReference;

/// Maximum number of manifests counted between two writes; uses of further manifests are not
/// counted.
const CAPACITY: usize = 10_000;

/// A use of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// The client got the manifest.
    Pull,
    /// The client made sure that what it has is up to date.
    Check,
}

/// A manifest; its number may have been given to another one, which has another digest.
type Key = (ManifestId, Digest);

/// Uses since the last write, by manifest and name.
///
/// A use and an eviction exclude each other: the one that comes second sees the first.
#[derive(Default)]
pub(in crate::registry) struct UseCounts {
    uses: Mutex<Uses>,
    /// Held while uses are written.
    pub(super) writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Uses {
    counted: HashMap<Key, Vec<ManifestUses>>,
    /// Manifests whose uses are being written.
    taken: HashSet<Key>,
    /// Manifests that are being evicted.
    evicted: HashSet<Key>,
}

impl UseCounts {
    /// Counts a use; true if the manifest is just being evicted.
    pub(super) fn count(
        &self,
        kind: Use,
        manifest: &StoredManifest,
        reference: &ManifestReference,
    ) -> bool {
        let tag = match reference {
            ManifestReference::Tag(tag) => Some(tag.as_str()),
            ManifestReference::Digest(_) => None,
        };
        let mut uses = self.uses.lock();
        let key = (manifest.id, manifest.digest.clone());
        let is_evicted = uses.evicted.contains(&key);
        if uses.counted.len() >= CAPACITY && !uses.counted.contains_key(&key) {
            return is_evicted;
        }
        let names = uses.counted.entry(key).or_default();
        let known = names.iter().position(|uses| uses.tag.as_deref() == tag);
        let position = known.unwrap_or_else(|| {
            names.push(ManifestUses {
                manifest: manifest.id,
                digest: manifest.digest.clone(),
                tag: tag.map(str::to_owned),
                pulls: 0,
                pulled_at: None,
                checked_at: None,
            });
            names.len() - 1
        });
        let uses = &mut names[position];
        match kind {
            Use::Pull => {
                uses.pulls += 1;
                uses.pulled_at = Some(now());
            }
            Use::Check => uses.checked_at = Some(now()),
        }
        is_evicted
    }

    /// Takes the uses since the last call. They still count for evictions until [`Self::end_writing`].
    pub(super) fn take(&self) -> Vec<ManifestUses> {
        let mut uses = self.uses.lock();
        let (mut taken, mut all) = (HashSet::new(), Vec::new());
        for (key, names) in std::mem::take(&mut uses.counted) {
            taken.insert(key);
            all.extend(names);
        }
        uses.taken = taken;
        all
    }

    /// Forgets the uses that were taken last, once they are recorded or lost.
    pub(super) fn end_writing(&self) {
        self.uses.lock().taken = HashSet::new();
    }

    /// Begins the eviction of manifests, unless one was used and that is not recorded yet.
    pub(in crate::registry) fn begin_eviction(&self, manifests: &[Key]) -> bool {
        let mut uses = self.uses.lock();
        let is_used = |key: &Key| uses.counted.contains_key(key) || uses.taken.contains(key);
        // beyond that, uses are not counted
        if uses.counted.len() >= CAPACITY || manifests.iter().any(is_used) {
            return false;
        }
        uses.evicted.extend(manifests.iter().cloned());
        true
    }

    /// Forgets all evictions, once their changes have ended.
    pub(in crate::registry) fn end_evictions(&self) {
        self.uses.lock().evicted = HashSet::new();
    }
}
