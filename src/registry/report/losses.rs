//! Holders that a simulation has taken away, and when and why.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::meta::{BlobId, LinkId, ManifestId, Millis};
use crate::registry::report::removal::WaitCause;

/// Number of lost holders of an item, the time at which the last is lost, and what that waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct LostHolders {
    pub lost: u64,
    pub at: Millis,
    pub cause: WaitCause,
}

/// Time of a removal, and its reason.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Going {
    pub at: Millis,
    pub cause: WaitCause,
    pub why: String,
}

impl Going {
    /// The removal of something at the wish of its owner.
    pub fn by_hand(at: Millis) -> Self {
        Self {
            at,
            cause: WaitCause::Undo,
            why: "it is deleted".to_owned(),
        }
    }
}

/// Removals that collection makes anyway, as the baseline of another simulation.
#[derive(Clone, Debug, Default)]
pub struct CollectionBaseline {
    /// Removed manifests.
    pub(super) gone: HashSet<ManifestId>,
    /// Tags that a rule removes, from manifests that stay or not.
    pub(super) tags: HashSet<(ManifestId, String)>,
    pub(super) manifests: HashMap<ManifestId, LostHolders>,
    pub(super) links: HashMap<LinkId, LostHolders>,
    pub(super) blobs: HashMap<BlobId, LostHolders>,
}

/// Counts a lost holder, on top of those of the baseline.
pub(super) fn record_loss<K>(
    entry: Entry<'_, K, LostHolders>,
    before: Option<&LostHolders>,
    (at, cause): (Millis, WaitCause),
) -> LostHolders {
    let first = || LostHolders { lost: 0, at, cause };
    let loss = entry.or_insert_with(|| before.copied().unwrap_or_else(first));
    loss.lost += 1;
    if at >= loss.at {
        (loss.at, loss.cause) = (at, cause);
    }
    *loss
}
