//! What collection would remove, when, and how much disk that gives back.

use super::fall::Fall;
use super::{Error, Registry, Retention};
use crate::meta::{Millis, now};
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
    pub(super) fn key(&self) -> (Kind, Option<&str>, Option<&str>, &Digest) {
        (
            self.kind,
            self.repository.as_deref(),
            self.tag.as_deref(),
            &self.digest,
        )
    }
}

/// All that goes unless somebody needs it before, soonest first.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    /// When it was made.
    pub now: Millis,
    pub doomed: Vec<Doomed>,
    /// Blobs and manifests that there are.
    pub all: u64,
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

impl Forecast {
    /// What goes with the next sweep.
    pub fn due(&self) -> Share {
        self.share(|at| at <= self.now)
    }

    /// What waits for a lease, a grace period or a rule.
    pub fn later(&self) -> Share {
        self.share(|at| at > self.now)
    }

    fn share(&self, is_in: impl Fn(Millis) -> bool) -> Share {
        Share::of(self.doomed.iter().filter(|doomed| is_in(doomed.at)))
    }
}

impl Share {
    pub(super) fn of<'d>(doomed: impl Iterator<Item = &'d Doomed>) -> Self {
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

impl Registry {
    /// What would be collected by these rules.
    pub async fn forecast(&self, retention: &Retention) -> Result<Forecast, Error> {
        let retention = retention.clone();
        self.scan(move |meta| {
            let now = now();
            let mut fall = Fall::new(meta, &retention, None);
            fall.everything(now)?;
            let mut doomed = fall.doomed;
            doomed.sort_by_key(|doomed| doomed.at);
            let totals = meta.totals()?;
            Ok(Forecast {
                now,
                doomed,
                all: totals.blobs + totals.manifests,
            })
        })
        .await
    }
}
