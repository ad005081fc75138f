//! Uses of manifests, gathered in memory and written in batches.

use std::collections::HashMap;

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

/// Uses since the last write, by manifest and name.
#[derive(Default)]
pub(in crate::registry) struct UseCounts(Mutex<HashMap<(ManifestId, Digest), Vec<ManifestUses>>>);

impl UseCounts {
    /// Counts a use.
    pub(super) fn count(
        &self,
        kind: Use,
        manifest: &StoredManifest,
        reference: &ManifestReference,
    ) {
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
    }

    /// Takes the uses since the last call.
    pub(super) fn take(&self) -> Vec<ManifestUses> {
        let counts = std::mem::take(&mut *self.0.lock());
        counts.into_values().flatten().collect()
    }
}
