//! A thing that collection would remove, and sums of such things.

use crate::meta::Millis;
use crate::oci::Digest;

/// What kind of thing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RemovalKind {
    /// A tag that a rule removes, now or later.
    Tag,
    Manifest,
    Blob,
}

/// Something that goes.
#[derive(Clone, Debug)]
pub struct PlannedRemoval {
    pub kind: RemovalKind,
    /// Of tags and manifests.
    pub repository: Option<String>,
    pub tag: Option<String>,
    /// Of a tag, that of the manifest it points at.
    pub digest: Digest,
    /// Disk that comes back, of a blob; of a manifest, room in the database; of a tag, nothing.
    pub size: u64,
    pub at: Millis,
    pub why: String,
}

impl PlannedRemoval {
    /// What tells it from everything else that goes.
    pub(in crate::registry) fn key(&self) -> (RemovalKind, Option<&str>, Option<&str>, &Digest) {
        (
            self.kind,
            self.repository.as_deref(),
            self.tag.as_deref(),
            &self.digest,
        )
    }
}

/// A part of a forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovalTotals {
    pub tags: u64,
    pub manifests: u64,
    pub blobs: u64,
    /// Of blobs.
    pub bytes: u64,
    /// When the last of it goes.
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
