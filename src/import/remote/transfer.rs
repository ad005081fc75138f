//! The way of one repository from another registry to pieces of content.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use futures_util::{StreamExt, stream};

use super::patience::patiently;
use super::presence::Presence;
use super::registry::{RemoteBlob, RemoteRegistry};
use crate::import::damage::Damage;
use crate::import::error::Error;
use crate::import::receiver::Receiver;
use crate::import::waiter::Waiter;
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::{self, ImportPiece, ImportedManifest, ImportedTag, Present, now};
use crate::upstream::{self, ManifestHead};

/// Maximum size of indexes that wait for what they name, in bytes: each may nest in the next one, without end.
const NESTED: usize = 64 << 20;
/// Number of tags that are asked for at once.
const HEADS: usize = 8;

/// A thread's share of the work: reads repositories and passes on what it finds.
pub(super) struct Transfer<'t> {
    pub registry: &'t RemoteRegistry,
    pub receiver: &'t dyn Receiver,
    pub waiter: &'t Waiter,
}

/// A repository while it is transferred.
struct Target<'r> {
    /// Name in the other registry.
    source: &'r RepositoryName,
    /// Name that it gets here.
    name: &'r RepositoryName,
    present: Present,
    seen: HashSet<Digest>,
    /// Manifests that were recorded.
    sound: HashSet<Digest>,
    /// Children of indexes that are not to come.
    left_out: HashSet<Digest>,
    /// False once the registry has said that it lists no referrers.
    has_referrers: bool,
}

/// Step of a walk through an image, whose parts come first.
enum Step {
    Visit {
        digest: Digest,
        parent: Parent,
    },
    Record(Box<ImportedManifest>, Recorded),
    /// Referrers of a manifest, after it.
    Referrers(Digest),
}

/// State of a manifest here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Recorded {
    /// The repository has it, though not all that it names.
    Already,
    NotYet,
}

/// Holder that names a manifest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parent {
    /// An index, with this size: BuildKit's caches list blobs in one.
    Index(u64),
    /// A tag or a subject.
    Other,
}

impl Transfer<'_> {
    /// Transfers a repository under the name that it gets here; returns whether it is there. Blocks.
    pub fn repository(
        &self,
        source: &RepositoryName,
        name: &RepositoryName,
    ) -> Result<Presence, Error> {
        let report = &mut |path: PathBuf, damage| self.receiver.report(&path, damage);
        let listed = match self.tag_names(source, report)? {
            Ok(listed) => listed,
            Err(presence) => {
                self.receiver.take(vec![ImportPiece::End])?;
                return Ok(presence);
            }
        };
        let wanted = self.receiver.wanted(name, listed)?;
        let mut tags = self.targets(source, wanted.tags, report)?;
        let mut target = Target {
            source,
            name,
            present: self.receiver.present(name)?,
            seen: HashSet::new(),
            sound: HashSet::new(),
            left_out: HashSet::new(),
            has_referrers: true,
        };
        let mut roots = tags.values().chain(&wanted.roots);
        let mut outcome = roots.try_for_each(|digest| self.image(&mut target, digest));
        if outcome.is_ok() {
            outcome = self.companions(&mut target, &mut tags, report);
        }
        // images that are whole get their tags, whatever has ended the rest
        let set = self.tags(&target, tags).and_then(|mut pieces| {
            pieces.push(ImportPiece::End);
            self.receiver.take(pieces)
        });
        outcome.and(set).map(|()| Presence::There)
    }

    /// Transfers what other tags name that are about the images.
    fn companions(
        &self,
        target: &mut Target<'_>,
        tags: &mut BTreeMap<TagName, Digest>,
        report: &mut dyn FnMut(PathBuf, Damage),
    ) -> Result<(), Error> {
        let companions = self.receiver.companions(&target.seen);
        let companions = self.targets(target.source, companions, report)?;
        let mut roots = companions.values();
        let outcome = roots.try_for_each(|digest| self.image(target, digest));
        tags.extend(companions);
        outcome
    }

    /// Asks what the tags of a repository point at; `None` if they cannot be listed. Blocks.
    pub fn tag_targets(
        &self,
        source: &RepositoryName,
        report: &mut dyn FnMut(PathBuf, Damage),
    ) -> Result<Option<BTreeMap<TagName, Digest>>, Error> {
        let names = self.tag_names(source, report)?.ok();
        let targets = names.map(|tags| self.targets(source, tags, report));
        targets.transpose()
    }

    /// Lists the tags of a repository; fails with its presence if that is impossible.
    fn tag_names(
        &self,
        source: &RepositoryName,
        report: &mut dyn FnMut(PathBuf, Damage),
    ) -> Result<Result<BTreeSet<String>, Presence>, Error> {
        let upstream = &self.registry.upstream;
        match self
            .waiter
            .wait(patiently(&self.registry.patience, || upstream.tags(source)))?
        {
            Ok(tags) => Ok(Ok(tags)),
            Err(upstream::Error::NotFound) => Ok(Err(Presence::Absent)),
            Err(error) => {
                report(self.path(source, ""), self.lasting(error)?);
                Ok(Err(Presence::Refused))
            }
        }
    }

    fn path(&self, source: &RepositoryName, reference: &str) -> PathBuf {
        format!("{}/{source}{reference}", self.registry.url).into()
    }

    fn report(&self, target: &Target<'_>, digest: &Digest, damage: Damage) {
        let path = self.path(target.source, &format!("@{digest}"));
        self.receiver.report(&path, damage);
    }

    /// Reports a refusal of one thing; fails for what concerns everything, and may pass.
    fn fault(&self, path: PathBuf, error: upstream::Error) -> Result<(), Error> {
        let damage = self.lasting(error)?;
        self.receiver.report(&path, damage);
        Ok(())
    }

    /// Returns the refusal of one thing; fails for what concerns everything, and may pass.
    fn lasting(&self, error: upstream::Error) -> Result<Damage, Error> {
        match error.is_passing() {
            true => Err(self.registry.failed(error)),
            false => Ok(Damage::Upstream(error)),
        }
    }

    /// Asks what the tags point at, several at once.
    fn targets(
        &self,
        source: &RepositoryName,
        tags: impl IntoIterator<Item = String>,
        report: &mut dyn FnMut(PathBuf, Damage),
    ) -> Result<BTreeMap<TagName, Digest>, Error> {
        let asked = stream::iter(tags).map(|text| async move {
            let asked = match TagName::parse(&text) {
                Ok(tag) => Ok((tag, self.head(source, &text).await)),
                Err(error) => Err(Damage::Name(error.to_string())),
            };
            (text, asked)
        });
        let asked = asked.buffer_unordered(HEADS).collect::<Vec<_>>();
        let mut targets = BTreeMap::new();
        for (text, asked) in self.waiter.wait(asked)? {
            let path = self.path(source, &format!(":{text}"));
            match asked {
                Ok((tag, Ok(digest))) => drop(targets.insert(tag, digest)),
                Ok((_, Err(error))) => report(path, self.lasting(error)?),
                Err(damage) => report(path, damage),
            }
        }
        Ok(targets)
    }

    async fn head(&self, source: &RepositoryName, tag: &str) -> Result<Digest, upstream::Error> {
        let upstream = &self.registry.upstream;
        let head = patiently(&self.registry.patience, || {
            upstream.head_manifest(source, tag, None)
        })
        .await?;
        if let ManifestHead::Found {
            digest: Some(digest),
        } = head
        {
            return Ok(digest);
        }
        let fetched = patiently(&self.registry.patience, || upstream.manifest(source, tag)).await?;
        let algorithm = crate::oci::Algorithm::Sha256;
        Ok(registry::Hasher::digest(algorithm, &fetched))
    }

    /// Transfers an image, its parts first, and what is about it.
    ///
    /// Indexes nest as deep as their makers like, so no function calls itself for them.
    fn image(&self, target: &mut Target<'_>, root: &Digest) -> Result<(), Error> {
        let visit = |digest: &Digest, parent| Step::Visit {
            digest: digest.clone(),
            parent,
        };
        let mut steps = vec![visit(root, Parent::Other)];
        let mut waiting = 0;
        while let Some(step) = steps.pop() {
            match step {
                Step::Visit { digest, parent } => {
                    if !target.seen.insert(digest.clone()) {
                        continue;
                    }
                    steps.push(Step::Referrers(digest.clone()));
                    if target.present.manifests.contains(&digest) {
                        continue;
                    }
                    if parent == Parent::Other && !self.receiver.is_wanted(target.name, &digest)? {
                        steps.pop();
                        continue;
                    }
                    let Some((manifest, recorded)) = self.manifest(target, &digest, parent)? else {
                        steps.pop();
                        continue;
                    };
                    waiting += manifest.size();
                    if waiting > NESTED {
                        let sentence = "indexes are nested too deep in it".to_owned();
                        self.report(target, root, Damage::InvalidManifest(sentence));
                        return Ok(());
                    }
                    let children = self.children(target, &manifest);
                    steps.push(Step::Record(Box::new(manifest), recorded));
                    let children = children.into_iter();
                    steps.extend(children.map(|(child, size)| visit(&child, Parent::Index(size))));
                }
                Step::Record(manifest, recorded) => {
                    waiting -= manifest.size();
                    self.record(target, *manifest, recorded)?;
                }
                Step::Referrers(digest) => {
                    let about = self.referrers(target, &digest)?;
                    steps.extend(about.iter().map(|digest| visit(digest, Parent::Other)));
                }
            }
        }
        Ok(())
    }

    /// Returns the children of an index that are to come, with their sizes in bytes.
    fn children(&self, target: &mut Target<'_>, index: &ImportedManifest) -> Vec<(Digest, u64)> {
        let sizes = sizes(index);
        let mut wanted = Vec::new();
        for child in index.children() {
            if self.receiver.wants_child(child, index.child_descriptors()) {
                wanted.push((child.clone(), sizes.get(child).copied().unwrap_or(0)));
            } else {
                target.left_out.insert(child.clone());
            }
        }
        wanted
    }

    /// Finds a manifest here, or fetches it; `None` if it is left out, or a blob that an index lists.
    fn manifest(
        &self,
        target: &mut Target<'_>,
        digest: &Digest,
        parent: Parent,
    ) -> Result<Option<(ImportedManifest, Recorded)>, Error> {
        if let Some(known) = self.receiver.known_manifest(target.name, digest)? {
            let known = ImportedManifest::parse(digest.clone(), known, now());
            return Ok(Some((known?, Recorded::Already)));
        }
        let fetched = self.fetch(target, digest, parent)?;
        Ok(fetched.map(|manifest| (manifest, Recorded::NotYet)))
    }

    /// Fetches a manifest; `None` if it is left out, or a blob that an index lists.
    fn fetch(
        &self,
        target: &mut Target<'_>,
        digest: &Digest,
        parent: Parent,
    ) -> Result<Option<ImportedManifest>, Error> {
        let (upstream, source) = (&self.registry.upstream, target.source);
        let reference = digest.to_string();
        let fetching = patiently(&self.registry.patience, || {
            upstream.manifest(source, &reference)
        });
        let fetched = match (self.waiter.wait(fetching)?, parent) {
            (Ok(fetched), _) => fetched,
            (Err(upstream::Error::NotFound), Parent::Index(size)) => {
                // the index that needs it is recorded after it
                target.seen.remove(digest);
                self.bring(target, vec![(digest.clone(), size)])?;
                return Ok(None);
            }
            (Err(error), _) => {
                self.fault(self.path(source, &format!("@{digest}")), error)?;
                return Ok(None);
            }
        };
        let parsed = ImportedManifest::parse(digest.clone(), fetched, now());
        Ok(match parsed {
            Ok(mut manifest) => {
                manifest.is_child = parent != Parent::Other;
                Some(manifest)
            }
            Err(registry::Error::DigestMismatch { actual, .. }) => {
                self.report(target, digest, Damage::AlteredManifest(actual));
                None
            }
            Err(error) => {
                self.report(target, digest, Damage::InvalidManifest(error.to_string()));
                None
            }
        })
    }

    fn record(
        &self,
        target: &mut Target<'_>,
        manifest: ImportedManifest,
        recorded: Recorded,
    ) -> Result<(), Error> {
        let sizes = sizes(&manifest);
        let is_child = manifest.children().collect::<HashSet<_>>();
        let blobs = manifest
            .required()
            .filter(|digest| !is_child.contains(digest));
        let blobs = blobs.map(|digest| (digest.clone(), sizes.get(digest).copied().unwrap_or(0)));
        self.bring(target, blobs.collect())?;
        if let Some(config) = manifest.image_config()
            && let Some(error) = self.receiver.refused_config(&config)?
        {
            let damage = Damage::InvalidConfig(config, error.to_string());
            self.report(target, manifest.digest(), damage);
            return Ok(());
        }
        for digest in manifest.required() {
            let is_there = target.present.blobs.contains(digest)
                || target.present.manifests.contains(digest)
                || target.sound.contains(digest)
                || target.left_out.contains(digest);
            if !is_there {
                self.report(target, manifest.digest(), Damage::Gap(digest.clone()));
            }
        }
        let digest = manifest.digest().clone();
        if recorded == Recorded::NotYet {
            let piece = ImportPiece::Manifests(target.name.clone(), vec![manifest]);
            self.receiver.take(vec![piece])?;
        }
        target.sound.insert(digest);
        Ok(())
    }

    /// Fetches blobs that the repository does not show, and makes them visible there.
    fn bring(&self, target: &mut Target<'_>, blobs: Vec<(Digest, u64)>) -> Result<(), Error> {
        let blobs = blobs
            .into_iter()
            .filter(|(digest, _)| !target.present.blobs.contains(digest))
            .map(|(digest, size)| RemoteBlob {
                digest,
                size,
                repository: target.source.clone(),
                registry: self.registry.clone(),
            });
        let blobs: Vec<_> = blobs.collect();
        if blobs.is_empty() {
            return Ok(());
        }
        let arrived = self.receiver.fetch(target.name, blobs)?;
        for (digest, damage) in arrived.failed {
            self.report(target, &digest, damage);
        }
        for piece in &arrived.pieces {
            if let ImportPiece::Stored(_, digests) = piece {
                target.present.blobs.extend(digests.iter().cloned());
            }
        }
        self.receiver.take(arrived.pieces)
    }

    /// Lists what is about a manifest that is here or was recorded.
    fn referrers(&self, target: &mut Target<'_>, digest: &Digest) -> Result<Vec<Digest>, Error> {
        let is_here = target.present.manifests.contains(digest) || target.sound.contains(digest);
        if !target.has_referrers || !is_here {
            return Ok(Vec::new());
        }
        let (upstream, source) = (&self.registry.upstream, target.source);
        let listing = patiently(&self.registry.patience, || {
            upstream.referrers(source, digest)
        });
        match self.waiter.wait(listing)? {
            Ok(Some(found)) => {
                let digests = found
                    .iter()
                    .filter_map(|found| Digest::parse(&found.digest).ok());
                Ok(digests.collect())
            }
            // their tags are imported as all tags are
            Ok(None) => {
                target.has_referrers = false;
                Ok(Vec::new())
            }
            Err(error) => {
                self.fault(self.path(source, &format!("@{digest}")), error)?;
                Ok(Vec::new())
            }
        }
    }

    /// Decides about the tags whose images are here; returns the pieces that set them.
    fn tags(
        &self,
        target: &Target<'_>,
        tags: BTreeMap<TagName, Digest>,
    ) -> Result<Vec<ImportPiece>, Error> {
        let is_here = |digest: &Digest| {
            target.sound.contains(digest) || target.present.manifests.contains(digest)
        };
        let (here, lacking): (Vec<_>, Vec<_>) =
            tags.into_iter().partition(|(_, digest)| is_here(digest));
        self.receiver.leave_out(target.name, lacking)?;
        let tags = here
            .into_iter()
            .map(|(tag, digest)| ImportedTag::following(tag, digest, now(), Vec::new()));
        let path = |tag: &TagName| self.path(target.source, &format!(":{tag}"));
        self.receiver.settle(target.name, tags.collect(), &path)
    }
}

/// Returns the sizes that a manifest names, in bytes.
fn sizes(manifest: &ImportedManifest) -> HashMap<Digest, u64> {
    let sized = manifest.descriptors().filter_map(|descriptor| {
        let digest = Digest::parse(&descriptor.digest).ok()?;
        Some((digest, u64::try_from(descriptor.size).ok()?))
    });
    sized.collect()
}
