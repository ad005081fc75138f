//! What collection would remove, when, and how much disk that gives back: now, later, or if something were deleted.
//!
//! Follows what hangs on what nothing holds, and nothing else: it costs what there is to collect.

use std::collections::HashMap;

use super::{Error, Registry, Retention};
use crate::meta::{self, FIRST, HeldManifest, ManifestId, Meta, Millis, now};
use crate::oci::Digest;

/// How many candidates are read at once.
const BATCH: usize = 1000;

/// What kind of thing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Manifest,
    Blob,
}

/// Something that goes.
#[derive(Clone, Debug)]
pub struct Doomed {
    pub kind: Kind,
    /// Of manifests.
    pub repository: Option<String>,
    pub digest: Digest,
    /// Disk that comes back, of a blob; of a manifest, room in the database.
    pub size: u64,
    pub at: Millis,
    pub why: String,
}

/// All that goes unless somebody needs it before, soonest first.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    /// When it was made.
    pub now: Millis,
    pub doomed: Vec<Doomed>,
    /// Blobs and manifests that stay.
    pub kept: u64,
}

/// A part of a forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
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
        let mut share = Share::default();
        for doomed in self.doomed.iter().filter(|doomed| is_in(doomed.at)) {
            match doomed.kind {
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
            let mut fall = Fall::new(meta, &retention);
            fall.manifests()?;
            fall.links()?;
            fall.blobs()?;
            let mut doomed = fall.doomed;
            doomed.sort_by_key(|doomed| doomed.at);
            let totals = meta.totals()?;
            let kept = (totals.blobs + totals.manifests).saturating_sub(doomed.len() as u64);
            Ok(Forecast { now, doomed, kept })
        })
        .await
    }

    /// What would go for good, sooner or later, if these manifests were deleted now.
    pub async fn if_deleted(&self, manifests: Vec<HeldManifest>, retention: &Retention) -> Result<Share, Error> {
        let retention = retention.clone();
        self.scan(move |meta| {
            let mut fall = Fall::new(meta, &retention);
            for manifest in manifests {
                fall.drop_manifest(manifest, now(), "it is deleted".to_owned())?;
            }
            let forecast = Forecast { now: Millis::MIN, doomed: fall.doomed, kept: 0 };
            Ok(forecast.later())
        })
        .await
    }
}

/// Something that loses its holders one by one, and the latest time of a loss.
struct Losses {
    lost: u64,
    at: Millis,
}

struct Fall<'m> {
    meta: &'m Meta,
    retention: &'m Retention,
    manifests: HashMap<ManifestId, Losses>,
    links: HashMap<(i64, i64), Losses>,
    /// With digest and size.
    blobs: HashMap<i64, (Losses, Digest, u64)>,
    doomed: Vec<Doomed>,
}

impl<'m> Fall<'m> {
    fn new(meta: &'m Meta, retention: &'m Retention) -> Self {
        Self { meta, retention, manifests: HashMap::new(), links: HashMap::new(), blobs: HashMap::new(), doomed: Vec::new() }
    }

    /// Manifests that nothing holds, and what only they hold.
    fn manifests(&mut self) -> Result<(), meta::Error> {
        let mut after = FIRST;
        loop {
            let idle = self.meta.idle_manifests(Millis::MAX, after, BATCH)?;
            let Some((last, _)) = idle.last() else { return Ok(()) };
            after = *last;
            for (_, manifest) in idle {
                let Some(at) = self.retention.due(&manifest) else { continue };
                let why = if manifest.is_freed { "its index or subject is gone" } else { "no tag points at it" };
                if let Some(held) = self.meta.held_manifest(manifest.id)? {
                    self.drop_manifest(held, at, why.to_owned())?;
                }
            }
        }
    }

    fn drop_manifest(&mut self, manifest: HeldManifest, at: Millis, why: String) -> Result<(), meta::Error> {
        let mut going = vec![(manifest, at, why)];
        while let Some((manifest, at, why)) = going.pop() {
            for held in self.meta.held_by_manifest(manifest.id)? {
                let losses = self.manifests.entry(held.id).or_insert(Losses { lost: 0, at });
                losses.lost += 1;
                losses.at = losses.at.max(at);
                if losses.lost == held.holders {
                    let at = losses.at.saturating_add(self.retention.hold());
                    going.push((held, at, "what holds it goes".to_owned()));
                }
            }
            for blob in self.meta.blobs_of_manifest(manifest.id)? {
                let losses = self.links.entry(blob.link).or_insert(Losses { lost: 0, at });
                losses.lost += 1;
                losses.at = losses.at.max(at);
                if losses.lost == blob.holders {
                    let at = losses.at.saturating_add(self.retention.hold());
                    self.drop_link(blob.link.1, blob.digest, blob.size, blob.links, at);
                }
            }
            let HeldManifest { repository, digest, size, .. } = manifest;
            self.doomed.push(Doomed { kind: Kind::Manifest, repository: Some(repository), digest, size, at, why });
        }
        Ok(())
    }

    /// Links that nothing holds.
    fn links(&mut self) -> Result<(), meta::Error> {
        let mut after = FIRST;
        loop {
            let idle = self.meta.idle_links(Millis::MAX, after, BATCH)?;
            let Some((last, _)) = idle.last() else { return Ok(()) };
            after = *last;
            for (_, link) in idle {
                let at = link.idle_since.saturating_add(self.retention.hold());
                self.drop_link(link.blob, link.digest, link.size, link.links, at);
            }
        }
    }

    fn drop_link(&mut self, blob: i64, digest: Digest, size: u64, links: u64, at: Millis) {
        let (losses, ..) = self.blobs.entry(blob).or_insert((Losses { lost: 0, at }, digest.clone(), size));
        losses.lost += 1;
        losses.at = losses.at.max(at);
        if losses.lost == links {
            let at = losses.at;
            self.doomed.push(Doomed { kind: Kind::Blob, repository: None, digest, size, at, why: "no manifest needs it".to_owned() });
        }
    }

    /// Blobs that no repository shows any more.
    fn blobs(&mut self) -> Result<(), meta::Error> {
        let mut after = FIRST;
        loop {
            let idle = self.meta.idle_blobs(Millis::MAX, after, BATCH)?;
            let Some((last, _)) = idle.last() else { return Ok(()) };
            after = *last;
            self.doomed.extend(idle.into_iter().map(|(_, blob)| Doomed {
                kind: Kind::Blob,
                repository: None,
                digest: blob.digest,
                size: blob.size,
                at: blob.idle_since.saturating_add(self.retention.hold()),
                why: "no repository shows it".to_owned(),
            }));
        }
    }
}
