//! A thing that collection would remove, and sums of such things.

use crate::meta::Millis;
use crate::oci::Digest;

/// What kind of thing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A tag that a rule removes, now or later.
    Tag,
    Manifest,
    Blob,
}

/// Something that goes.
#[derive(Clone, Debug)]
pub struct Doomed {
    pub kind: Kind,
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

impl Doomed {
    /// What tells it from everything else that goes.
    pub(in crate::registry) fn key(&self) -> (Kind, Option<&str>, Option<&str>, &Digest) {
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
pub struct Share {
    pub tags: u64,
    pub manifests: u64,
    pub blobs: u64,
    /// Of blobs.
    pub bytes: u64,
    /// When the last of it goes.
    pub last: Option<Millis>,
}

impl Share {
    pub(in crate::registry) fn of<'d>(doomed: impl Iterator<Item = &'d Doomed>) -> Self {
        let mut share = Self::default();
        for doomed in doomed {
            match doomed.kind {
                Kind::Tag => share.tags += 1,
                Kind::Manifest => share.manifests += 1,
                Kind::Blob => {
                    share.blobs += 1;
                    share.bytes += doomed.size;
                }
            }
            share.last = share.last.max(Some(doomed.at));
        }
        share
    }
}
