//! Planned removals, and their totals.

use crate::meta::Millis;
use crate::oci::Digest;

/// Kind of a removed item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RemovalKind {
    /// A tag that a rule removes, now or later.
    Tag,
    Manifest,
    Blob,
}

/// Reason for which a removal waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitCause {
    /// The end of undo: the item is there only because something was deleted.
    Undo,
    /// The end of a lease: the item was pushed, or a client was told of it.
    Lease,
    /// The end of the time for which untagged manifests are kept.
    Untagged,
    /// The time at which a rule removes a tag.
    Rule,
    /// The time at which a cached image was not used for long enough.
    Cache,
}

/// Planned removal of an item.
#[derive(Clone, Debug)]
pub struct PlannedRemoval {
    pub kind: RemovalKind,
    /// Repository, for tags and manifests.
    pub repository: Option<String>,
    pub tag: Option<String>,
    /// Digest of the item; for a tag, of its manifest.
    pub digest: Digest,
    /// Released bytes: of disk for a blob, of the database for a manifest, none for a tag.
    pub size: u64,
    pub at: Millis,
    pub cause: WaitCause,
    pub why: String,
}

impl PlannedRemoval {
    /// Identity of the item.
    pub(in crate::registry) fn key(&self) -> (RemovalKind, Option<&str>, Option<&str>, &Digest) {
        (
            self.kind,
            self.repository.as_deref(),
            self.tag.as_deref(),
            &self.digest,
        )
    }
}

/// Totals of planned removals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovalTotals {
    pub tags: u64,
    pub manifests: u64,
    pub blobs: u64,
    /// Bytes of blobs.
    pub bytes: u64,
    /// Time of the last removal.
    pub last: Option<Millis>,
}

impl RemovalTotals {
    pub(in crate::registry) fn of<'d>(removals: impl Iterator<Item = &'d PlannedRemoval>) -> Self {
        let mut share = Self::default();
        for removal in removals {
            match removal.kind {
                RemovalKind::Tag => share.tags += 1,
                RemovalKind::Manifest => share.manifests += 1,
                RemovalKind::Blob => {
                    share.blobs += 1;
                    share.bytes += removal.size;
                }
            }
            share.last = share.last.max(Some(removal.at));
        }
        share
    }
}
