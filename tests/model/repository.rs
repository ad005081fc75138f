//! A reference model of one repository: what clients were told, and until when each object is
//! therefore certain to be present. It follows the documented rules and knows nothing of rows,
//! counts or triggers.
//!
//! Times are the client's. A request takes effect between its sending and its answer: a promise
//! counts from the sending, and must hold in every answer that arrives before it ends. An object
//! whose time has passed may be present or not; an object missing in the model is certainly absent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::content::Item;
use super::past::{Origin, Past};
use super::retention::{Retention, Slack};

/// A manifest that may be present.
pub struct Manifest {
    pub item: Arc<Item>,
    /// End of the promises made for this manifest itself.
    promised: Instant,
    /// End of its time as an untagged manifest that only tags have held.
    kept: Instant,
    /// True if it coexisted with its subject, which therefore holds it.
    is_held: bool,
}

pub struct Tag {
    pub digest: String,
    /// For `sha256-<hex>.sig`: the image it is bound to.
    image: Option<String>,
    /// The end of such a tag, apart from its image's.
    safe: Instant,
    /// True if its image may have been absent, so that nothing removes the tag.
    is_loose: bool,
}

impl Tag {
    pub fn image(&self) -> Option<&String> {
        self.image.as_ref()
    }
}

/// A deleted manifest.
pub struct Trashed {
    pub item: Arc<Item>,
    pub tags: Vec<String>,
    /// End of the time in which it can be restored.
    pub until: Instant,
}

pub struct Repository {
    pub name: String,
    retention: Retention,
    slack: Arc<Slack>,
    /// The earliest and the latest time.
    start: Instant,
    forever: Instant,
    pub manifests: BTreeMap<String, Manifest>,
    pub tags: BTreeMap<String, Tag>,
    /// Every blob ever present here, with the end of the promises made for the blob itself.
    pub blobs: BTreeMap<String, Instant>,
    pub trash: BTreeMap<String, Trashed>,
    pub past: BTreeMap<String, Past>,
}

impl Repository {
    pub fn new(name: String, retention: Retention, slack: Arc<Slack>, forever: Instant) -> Self {
        let (manifests, tags, blobs) = Default::default();
        Self {
            name,
            retention,
            slack,
            start: Instant::now(),
            forever,
            manifests,
            tags,
            blobs,
            trash: BTreeMap::new(),
            past: BTreeMap::new(),
        }
    }

    /// Time until which a manifest is certainly present; `None` if it is certainly absent.
    pub fn manifest_until(&self, digest: &str) -> Option<Instant> {
        let manifest = self.manifests.get(digest)?;
        let own = manifest.promised.max(manifest.kept);
        let tags = self
            .tags
            .values()
            .filter(|tag| tag.digest == digest)
            .map(|tag| self.tag_until(tag));
        let parents = self
            .parents(digest)
            .filter_map(|parent| self.manifest_until(&parent.item.digest));
        let subject = manifest
            .item
            .subject
            .as_ref()
            .filter(|_| manifest.is_held)
            .and_then(|subject| self.manifest_until(subject));
        tags.chain(parents)
            .chain(subject)
            .max()
            .map(|held| held.max(own))
            .or(Some(own))
    }

    pub fn is_sure(&self, digest: &str, now: Instant) -> bool {
        self.manifest_until(digest)
            .is_some_and(|until| self.slack.is_sure(until, now))
    }

    /// Indexes that may be present and list the manifest.
    pub fn parents(&self, digest: &str) -> impl Iterator<Item = &Manifest> {
        self.manifests
            .values()
            .filter(move |parent| parent.item.children.iter().any(|child| child == digest))
    }

    /// Time until which a tag certainly keeps its target.
    pub fn tag_until(&self, tag: &Tag) -> Instant {
        match &tag.image {
            None => self.forever,
            Some(image) => self
                .manifest_until(image)
                .map_or(tag.safe, |until| tag.safe.max(until + self.retention.grace)),
        }
    }

    pub fn is_tag_sure(&self, tag: &str, now: Instant) -> bool {
        self.tags
            .get(tag)
            .is_some_and(|tag| self.slack.is_sure(self.tag_until(tag), now))
    }

    /// Time until which a blob is certainly present; `None` if it is certainly absent.
    pub fn blob_until(&self, digest: &str) -> Option<Instant> {
        let own = *self.blobs.get(digest)?;
        let held = self.needing(digest).filter_map(|manifest| {
            Some(self.manifest_until(&manifest.item.digest)? + self.retention.hold())
        });
        Some(held.fold(own, Instant::max))
    }

    pub fn is_blob_sure(&self, digest: &str, now: Instant) -> bool {
        self.blob_until(digest)
            .is_some_and(|until| self.slack.is_sure(until, now))
    }

    /// Manifests that may be present and need the blob.
    pub fn needing(&self, digest: &str) -> impl Iterator<Item = &Manifest> {
        self.manifests
            .values()
            .filter(move |manifest| manifest.item.blobs.iter().any(|blob| blob == digest))
    }

    /// Records that a blob may have been deleted: promises made for the blob itself no longer
    /// count.
    pub fn blob_uncertain(&mut self, digest: &str) {
        let start = self.start;
        self.blobs
            .entry(digest.to_owned())
            .and_modify(|promised| *promised = start);
    }

    /// True if everything that a manifest needs is certainly present.
    pub fn is_complete(&self, item: &Item, now: Instant) -> bool {
        item.blobs.iter().all(|blob| self.is_blob_sure(blob, now))
            && item.children.iter().all(|child| self.is_sure(child, now))
    }

    /// True if something that a manifest needs is certainly absent.
    pub fn is_missing_content(&self, item: &Item) -> bool {
        item.blobs.iter().any(|blob| !self.blobs.contains_key(blob))
            || item
                .children
                .iter()
                .any(|child| !self.manifests.contains_key(child))
    }

    /// Records that a client was told of the blob, by a request sent at `sent`.
    pub fn blob_promised(&mut self, digest: &str, until: Instant) {
        let promised = self.blobs.entry(digest.to_owned()).or_insert(until);
        *promised = until.max(*promised);
    }

    /// Records that a client was told of the manifest.
    pub fn manifest_promised(&mut self, digest: &str, sent: Instant) {
        let until = sent + self.retention.promise();
        if let Some(manifest) = self.manifests.get_mut(digest) {
            manifest.promised = manifest.promised.max(until);
        }
    }

    /// Records an acknowledged push.
    pub fn stored(&mut self, item: &Arc<Item>, sent: Instant, now: Instant) {
        let hold = sent + self.retention.hold();
        let has_subject = item
            .subject
            .as_ref()
            .is_some_and(|subject| self.manifests.contains_key(subject));
        let is_held = item
            .subject
            .as_ref()
            .is_some_and(|subject| self.is_sure(subject, now));
        let referrers: Vec<(String, bool)> = self
            .referrers(&item.digest)
            .map(|digest| (digest.clone(), self.is_sure(digest, now)))
            .collect();
        // content held by an index or a subject is collected after it, not by the rule for untagged
        // manifests
        let kept = if has_subject {
            hold
        } else {
            sent + self.retention.untagged()
        };
        let fresh = Manifest {
            item: Arc::clone(item),
            promised: sent,
            kept,
            is_held,
        };
        let manifest = self.manifests.entry(item.digest.clone()).or_insert(fresh);
        manifest.promised = manifest.promised.max(sent + self.retention.lease);
        manifest.is_held = is_held;
        if has_subject {
            manifest.kept = manifest.kept.min(hold);
        }
        for (referrer, is_there) in referrers {
            if let Some(referrer) = self.manifests.get_mut(&referrer) {
                referrer.is_held = is_there;
                referrer.kept = referrer.kept.min(hold);
            }
        }
        for child in &item.children {
            if let Some(child) = self.manifests.get_mut(child) {
                child.kept = child.kept.min(hold);
            }
        }
        for tag in self
            .tags
            .values_mut()
            .filter(|tag| tag.image.as_ref() == Some(&item.digest))
        {
            tag.is_loose = false;
        }
        self.trash.remove(&item.digest);
    }

    fn referrers(&self, digest: &str) -> impl Iterator<Item = &String> {
        let about = move |manifest: &&Manifest| manifest.item.subject.as_deref() == Some(digest);
        self.manifests
            .values()
            .filter(about)
            .map(|manifest| &manifest.item.digest)
    }

    /// Records that a tag was pointed at a manifest by a push.
    pub fn tagged(&mut self, tag: &str, item: &Item, sent: Instant) {
        self.pointed(tag, item, sent, |_| Origin::Push);
    }

    /// Records that a removed tag was restored with its manifest.
    pub fn tag_restored(&mut self, tag: &str, item: &Item, sent: Instant) {
        if self.tags.contains_key(tag) {
            // it must have been removed meanwhile
            self.past.remove(tag);
        }
        self.pointed(tag, item, sent, |past| past.restore_of_newest(&item.digest));
    }

    /// Records that a tag went back to the state with that number.
    pub fn went_back(&mut self, tag: &str, item: &Item, sent: Instant, number: usize) {
        self.pointed(tag, item, sent, |past| past.restore_of(number));
    }

    fn pointed(
        &mut self,
        tag: &str,
        item: &Item,
        sent: Instant,
        origin: impl FnOnce(&Past) -> Origin,
    ) {
        if self
            .tags
            .get(tag)
            .is_some_and(|old| old.digest == item.digest)
        {
            return self.perhaps_tagged(tag);
        }
        self.untagged(tag, sent);
        let image = item
            .signs
            .as_ref()
            .filter(|(_, name)| name == tag)
            .map(|(image, _)| image.clone());
        let is_loose = image
            .as_ref()
            .is_some_and(|image| !self.is_sure(image, Instant::now()));
        self.tags.insert(
            tag.to_owned(),
            Tag {
                digest: item.digest.clone(),
                image,
                safe: sent,
                is_loose,
            },
        );
        let past = self.past.entry(tag.to_owned()).or_default();
        past.begin(origin(past));
    }

    /// Tags whose former state is certain, so that they can be restored to it.
    pub fn restorable_tags(&self) -> Vec<String> {
        let certain = self.past.iter().filter(|(tag, past)| {
            let present = self.tags.get(*tag).map(|tag| &*tag.digest);
            past.previous(present).is_some()
        });
        certain.map(|(tag, _)| tag.clone()).collect()
    }

    /// Records an unchanged tag that may have been set again: it may have been removed with its
    /// image before.
    pub fn perhaps_tagged(&mut self, tag: &str) {
        let now = Instant::now();
        if !self.is_tag_sure(tag, now) {
            self.past.remove(tag);
        }
        let is_loose = self
            .tags
            .get(tag)
            .and_then(|tag| tag.image())
            .is_some_and(|image| !self.is_sure(image, now));
        if let Some(tag) = self.tags.get_mut(tag) {
            tag.is_loose |= is_loose;
        }
    }

    /// Records that a tag no longer has its target.
    pub fn untagged(&mut self, tag: &str, sent: Instant) {
        let Some(old) = self.tags.get(tag) else {
            return;
        };
        let (digest, is_sure) = (
            old.digest.clone(),
            self.slack.is_sure(self.tag_until(old), sent),
        );
        self.tags.remove(tag);
        if !is_sure {
            self.past.remove(tag);
            return;
        }
        let subject = self
            .manifests
            .get(&digest)
            .and_then(|manifest| manifest.item.subject.as_ref());
        let is_lone = self.parents(&digest).next().is_none()
            && subject.is_none_or(|subject| !self.manifests.contains_key(subject));
        let stays = if is_lone {
            self.retention.untagged()
        } else {
            self.retention.hold()
        };
        if let Some(manifest) = self.manifests.get_mut(&digest) {
            manifest.kept = manifest.kept.max(sent + stays);
        }
        self.past
            .entry(tag.to_owned())
            .or_default()
            .end(digest, sent);
    }

    /// Records that a tag was rightly found absent: its earlier state no longer matters.
    pub fn tag_found_absent(&mut self, tag: &str) {
        self.tags.remove(tag);
        self.past.remove(tag);
    }

    /// Tags bound to an image.
    pub fn tags_with(&self, image: &str) -> impl Iterator<Item = &String> {
        self.tags
            .iter()
            .filter(move |(_, tag)| tag.image.as_deref() == Some(image))
            .map(|(name, _)| name)
    }

    pub fn orphaned_tags(&self) -> Vec<String> {
        self.tags
            .iter()
            .filter(|(_, tag)| tag.is_loose)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Records that a blob, and so every manifest that needs it, was rightly found absent.
    pub fn blob_found_absent(&mut self, digest: &str) {
        let needing: Vec<_> = self
            .needing(digest)
            .map(|manifest| manifest.item.digest.clone())
            .collect();
        needing
            .iter()
            .for_each(|manifest| self.manifest_found_absent(manifest, Instant::now()));
        self.blobs.remove(digest);
    }

    /// Records a deletion requested at `sent`.
    pub fn deleted(&mut self, digest: &str, sent: Instant) {
        let now = Instant::now();
        let (tags, doubtful): (Vec<_>, Vec<_>) = self
            .tags_on(digest)
            .into_iter()
            .partition(|tag| self.is_tag_sure(tag, now));
        tags.iter().for_each(|tag| self.untagged(tag, sent));
        doubtful.iter().for_each(|tag| self.tag_found_absent(tag));
        if let Some(item) = self.removed(digest, sent, sent + self.retention.hold()) {
            self.trash.insert(
                digest.to_owned(),
                Trashed {
                    item,
                    tags,
                    until: sent + self.retention.grace,
                },
            );
        }
    }

    /// Records that a manifest was found absent: rightly, if it was not certain to be present any
    /// more. It was removed no earlier than `earliest`, unless it was certain only until before
    /// that.
    pub fn manifest_found_absent(&mut self, digest: &str, earliest: Instant) {
        let Some(until) = self.manifest_until(digest) else {
            return;
        };
        let until = until.min(earliest);
        self.tags_on(digest)
            .iter()
            .for_each(|tag| self.tag_found_absent(tag));
        // content held only by an expired manifest is removed with it
        if let Some(item) = self.removed(digest, until, until) {
            // it may or may not still be restorable
            self.trash.insert(
                digest.to_owned(),
                Trashed {
                    item,
                    tags: Vec::new(),
                    until,
                },
            );
        }
    }

    fn tags_on(&self, digest: &str) -> Vec<String> {
        self.tags
            .iter()
            .filter(|(_, tag)| tag.digest == digest)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// `since` is the last time when it was certainly present; its former content stays until
    /// `freed`.
    fn removed(&mut self, digest: &str, since: Instant, freed: Instant) -> Option<Arc<Item>> {
        let item = self.manifests.remove(digest)?.item;
        for child in &item.children {
            if let Some(child) = self.manifests.get_mut(child) {
                child.promised = child.promised.max(freed);
            }
        }
        for referrer in self
            .manifests
            .values_mut()
            .filter(|manifest| manifest.item.subject.as_deref() == Some(digest))
        {
            if std::mem::take(&mut referrer.is_held) {
                referrer.promised = referrer.promised.max(freed);
            }
        }
        item.blobs
            .iter()
            .for_each(|blob| self.blob_promised(blob, since + self.retention.hold()));
        for tag in self
            .tags
            .values_mut()
            .filter(|tag| tag.image.as_deref() == Some(digest))
        {
            tag.safe = tag.safe.max(since + self.retention.grace);
        }
        Some(item)
    }

    /// Records a collection of what was deleted: only what a tag needs is certain to be present.
    pub fn undo_ended(&mut self) {
        let start = self.start;
        self.trash.clear();
        for manifest in self.manifests.values_mut() {
            (manifest.promised, manifest.kept) = (start, start);
        }
        self.blobs
            .values_mut()
            .for_each(|promised| *promised = start);
        self.tags.values_mut().for_each(|tag| tag.safe = start);
    }

    /// Records a restored manifest, with its formerly absent children.
    pub fn restored(
        &mut self,
        item: &Arc<Item>,
        stock: &BTreeMap<String, Arc<Item>>,
        sent: Instant,
        now: Instant,
    ) {
        for child in &item.children {
            if !self.manifests.contains_key(child) {
                self.restored(&stock[child], stock, sent, now);
            }
        }
        item.blobs
            .iter()
            .for_each(|blob| self.blob_promised(blob, sent));
        self.stored(item, sent, now);
    }

    /// Records the final state: no more changes, and everything due has been collected.
    pub fn settled(&mut self, kept: &std::collections::BTreeSet<String>, now: Instant) {
        self.manifests.retain(|digest, _| kept.contains(digest));
        self.tags.retain(|_, tag| kept.contains(&tag.digest));
        let shown: std::collections::BTreeSet<_> = self
            .manifests
            .values()
            .flat_map(|manifest| manifest.item.blobs.clone())
            .collect();
        self.blobs = shown.into_iter().map(|blob| (blob, now)).collect();
        self.trash.clear();
        self.past.clear();
    }
}
