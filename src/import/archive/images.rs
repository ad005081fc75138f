//! The way of a layout's images to pieces of content.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::contents::{Contents, Found, parse_list};
use super::docker::{self, SavedImage};
use super::naming::{Place, StatedName};
use crate::import::collisions::{Collision, Tags};
use crate::import::damage::Damage;
use crate::import::error::Error;
use crate::import::receiver::Receiver;
use crate::import::selection::Selection;
use crate::oci::layout::{DOCKER_FILE, INDEX_FILE, LayoutIndex, blob_path};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::{
    self, ImportPiece, ImportedBlob, ImportedManifest, ImportedTag, Millis, Present, TagFate,
};

/// Number of blobs from which on a piece is full.
const BLOBS: usize = 500;

/// The images of a layout, with their places here.
pub(in crate::import) struct ImageTransfer<'t> {
    pub contents: &'t dyn Contents,
    pub receiver: &'t dyn Receiver,
    pub selection: &'t Selection,
    /// Place that the user names for all of them.
    pub place: Option<&'t Place>,
    pub now: Millis,
}

/// An image that a layout lists.
struct Root {
    digest: Digest,
    name: StatedName,
}

/// Images by the repository that they go to.
#[derive(Default)]
pub(in crate::import) struct Plan {
    /// Names in the source.
    names: BTreeSet<RepositoryName>,
    /// Tags with the repositories of the source that have them.
    tags: Tags,
    repositories: BTreeMap<RepositoryName, Vec<(Option<TagName>, Digest)>>,
    /// Images without a name, which go where their subjects go.
    unnamed: Vec<Digest>,
    /// Manifests that are made here, because the archive has none.
    made: HashMap<Digest, Vec<u8>>,
}

impl Plan {
    /// Returns the names that the images have in the source.
    pub fn names(&self) -> &BTreeSet<RepositoryName> {
        &self.names
    }

    /// Returns the tags that would overwrite each other.
    pub fn collisions(&self) -> Vec<Collision> {
        self.tags.collisions()
    }
}

/// A repository while its images are transferred.
struct Target<'p> {
    name: &'p RepositoryName,
    present: Present,
    plan: &'p Plan,
    seen: HashSet<Digest>,
    /// Manifests that were recorded.
    sound: HashSet<Digest>,
    pieces: Vec<ImportPiece>,
    /// Blobs whose files are to be brought, by digest.
    files: HashMap<Digest, ImportedBlob>,
}

/// Step of a walk through an image, whose parts come first.
enum Step {
    Visit(Digest),
    Record(Box<ImportedManifest>),
}

impl ImageTransfer<'_> {
    /// Decides where the images go. Blocks.
    ///
    /// # Errors
    /// [`Error::NoImages`], [`Error::OneTag`], and errors of the source.
    pub fn plan(&self) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        let roots = self.roots(&mut plan)?;
        self.check_one_tag(&roots)?;
        let names = roots.iter().filter_map(|root| root.name.repository());
        plan.names = names.collect();
        for root in roots {
            match root.name.place(self.place, self.selection) {
                Ok(Some(Place { repository, tag })) => {
                    if let (Some(tag), Some(source)) = (&tag, root.name.repository()) {
                        let target = root.digest.clone();
                        plan.tags.add(&repository, tag.clone(), &source, target);
                    }
                    let images = plan.repositories.entry(repository).or_default();
                    images.push((tag, root.digest));
                }
                Ok(None) => {}
                Err(Damage::Unnamed) => plan.unnamed.push(root.digest),
                Err(damage) => self.report(&root.digest, damage),
            }
        }
        Ok(plan)
    }

    /// Transfers the images. Blocks.
    ///
    /// # Errors
    /// Errors of the source and this registry.
    pub fn run(&self, plan: &Plan) -> Result<(), Error> {
        self.receiver.expect(plan.repositories.len());
        let mut placed = HashSet::new();
        for (name, images) in &plan.repositories {
            placed.extend(self.repository(name, images, plan)?);
        }
        for digest in plan
            .unnamed
            .iter()
            .filter(|digest| !placed.contains(*digest))
        {
            self.report(digest, Damage::Unnamed);
        }
        Ok(())
    }

    fn report(&self, digest: &Digest, damage: Damage) {
        let path = self.contents.path(&blob_path(digest));
        self.receiver.report(&path, damage);
    }

    /// Lists the images, by whichever list there is.
    fn roots(&self, plan: &mut Plan) -> Result<Vec<Root>, Error> {
        if let Some(index) = self.contents.document(INDEX_FILE)? {
            let path = self.contents.path(INDEX_FILE);
            let index: LayoutIndex = parse_list(&index, &path)?;
            if index.manifests.is_empty() {
                return Err(Error::NoImages(self.contents.path("")));
            }
            let mut roots = Vec::new();
            for entry in index.manifests {
                match Digest::parse(&entry.digest) {
                    Ok(digest) => {
                        let name = StatedName::of(&entry);
                        roots.push(Root { digest, name });
                    }
                    Err(error) => {
                        let damage = Damage::InvalidManifest(error.to_string());
                        self.receiver.report(&path, damage);
                    }
                }
            }
            return Ok(roots);
        }
        let path = self.contents.path(DOCKER_FILE);
        let list = self.contents.document(DOCKER_FILE)?;
        let list = list.map(|list| parse_list::<Vec<SavedImage>>(&list, &path));
        let list = list.transpose()?;
        let list = list.filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| Error::NoImages(self.contents.path("")))?;
        let mut roots = Vec::new();
        for image in list {
            match self.made(&image) {
                Ok((digest, manifest)) => {
                    plan.made.insert(digest.clone(), manifest);
                    let tags = image.repo_tags.unwrap_or_default();
                    let names: Vec<_> = tags.iter().map(|tag| StatedName::parse(tag)).collect();
                    let names = if names.is_empty() {
                        vec![StatedName::default()]
                    } else {
                        names
                    };
                    roots.extend(names.into_iter().map(|name| Root {
                        digest: digest.clone(),
                        name,
                    }));
                }
                Err(file) => {
                    let path = self.contents.path(&file);
                    self.receiver.report(&path, Damage::MissingFile);
                }
            }
        }
        Ok(roots)
    }

    /// Makes the manifest of a saved image; fails with the name of a file that is missing.
    fn made(&self, image: &SavedImage) -> Result<(Digest, Vec<u8>), String> {
        let find = |name: &String| self.contents.named(name).ok_or_else(|| name.clone());
        let config = find(&image.config)?;
        let layers = image.layers.iter().flatten().map(find);
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let manifest = docker::manifest(&config, &layers);
        let digest = registry::Hasher::digest(crate::oci::Algorithm::Sha256, &manifest);
        Ok((digest, manifest))
    }

    /// Fails if the user names one tag for several images.
    fn check_one_tag(&self, roots: &[Root]) -> Result<(), Error> {
        let Some(Place { tag: Some(tag), .. }) = self.place else {
            return Ok(());
        };
        let images = roots.iter().filter(|root| !root.name.is_companion);
        let images: HashSet<_> = images.map(|root| &root.digest).collect();
        if images.len() > 1 {
            return Err(Error::OneTag {
                tag: tag.clone(),
                images: images.len(),
            });
        }
        Ok(())
    }

    /// Transfers the images of a repository; returns everything that belongs to them.
    fn repository(
        &self,
        name: &RepositoryName,
        images: &[(Option<TagName>, Digest)],
        plan: &Plan,
    ) -> Result<HashSet<Digest>, Error> {
        let mut target = Target {
            name,
            present: self.receiver.present(name)?,
            plan,
            seen: HashSet::new(),
            sound: HashSet::new(),
            pieces: Vec::new(),
            files: HashMap::new(),
        };
        for (_, digest) in images {
            self.image(&mut target, digest)?;
        }
        self.unnamed_referrers(&mut target)?;
        self.tags(&mut target, images)?;
        target.pieces.push(ImportPiece::End);
        self.receiver.take(target.pieces)?;
        Ok(target.seen)
    }

    /// Transfers an image, its parts first.
    ///
    /// Indexes nest as deep as their makers like, so no function calls itself for them.
    fn image(&self, target: &mut Target<'_>, root: &Digest) -> Result<(), Error> {
        let mut steps = vec![Step::Visit(root.clone())];
        while let Some(step) = steps.pop() {
            match step {
                Step::Visit(digest) => {
                    if !target.seen.insert(digest.clone())
                        || target.present.manifests.contains(&digest)
                    {
                        continue;
                    }
                    match self.manifest(target, &digest)? {
                        Ok(manifest) => {
                            if let Some(damage) = self.config_damage(&manifest)? {
                                self.report(&digest, damage);
                                continue;
                            }
                            let children = manifest.children().cloned().map(Step::Visit);
                            let children: Vec<_> = children.collect();
                            steps.push(Step::Record(Box::new(manifest)));
                            steps.extend(children);
                        }
                        // BuildKit's caches list blobs in an index
                        Err(_) if digest != *root && self.has_blob(target, &digest)? => {}
                        Err(damage) => self.report(&digest, damage),
                    }
                }
                Step::Record(manifest) => self.record(target, *manifest)?,
            }
        }
        Ok(())
    }

    /// Checks the config of an image, in the layout or here.
    fn config_damage(&self, manifest: &ImportedManifest) -> Result<Option<Damage>, Error> {
        let Some(digest) = manifest.image_config() else {
            return Ok(None);
        };
        let refused = match self.contents.blob(&digest)? {
            // what cannot be read does not come either
            Some(Found::File(source)) => source.refused_config().ok().flatten(),
            // a plan stores nothing
            Some(Found::Stored { .. }) => match self.contents.manifest(&digest)? {
                Ok(bytes) => registry::refused_config(&bytes),
                Err(_) => self.receiver.refused_config(&digest)?,
            },
            None => self.receiver.refused_config(&digest)?,
        };
        Ok(refused.map(|error| Damage::InvalidConfig(digest, error.to_string())))
    }

    fn manifest(
        &self,
        target: &Target<'_>,
        digest: &Digest,
    ) -> Result<Result<ImportedManifest, Damage>, Error> {
        let bytes = match target.plan.made.get(digest) {
            Some(made) => made.clone(),
            None => match self.contents.manifest(digest)? {
                Ok(bytes) => bytes,
                Err(damage) => match self.receiver.stored_manifest(digest)? {
                    Some(bytes) => bytes,
                    None => return Ok(Err(damage)),
                },
            },
        };
        let parsed = ImportedManifest::parse(digest.clone(), bytes.into(), self.now);
        Ok(parsed.map_err(|error| match error {
            registry::Error::DigestMismatch { actual, .. } => Damage::AlteredManifest(actual),
            error => Damage::InvalidManifest(error.to_string()),
        }))
    }

    fn record(&self, target: &mut Target<'_>, manifest: ImportedManifest) -> Result<(), Error> {
        let mut stored = Vec::new();
        for digest in manifest.required() {
            let is_here = target.present.blobs.contains(digest)
                || target.present.manifests.contains(digest)
                || target.seen.contains(digest);
            if is_here {
                continue;
            }
            target.seen.insert(digest.clone());
            match self.find(digest)? {
                Some(Found::File(source)) => {
                    let blob = ImportedBlob::new(digest.clone(), source);
                    target.files.insert(digest.clone(), blob);
                }
                Some(Found::Stored { size, is_new }) => {
                    self.receiver
                        .count_stored(target.name, digest, size, is_new);
                    stored.push(digest.clone());
                }
                None => self.report(manifest.digest(), Damage::Gap(digest.clone())),
            }
        }
        if !stored.is_empty() {
            let piece = ImportPiece::Stored(target.name.clone(), stored);
            target.pieces.push(piece);
        }
        self.bring(target, manifest.digest())?;
        target.sound.insert(manifest.digest().clone());
        let piece = ImportPiece::Manifests(target.name.clone(), vec![manifest]);
        target.pieces.push(piece);
        if target.pieces.len() >= BLOBS {
            self.receiver.take(std::mem::take(&mut target.pieces))?;
        }
        Ok(())
    }

    /// Finds a blob in the layout, or here: an earlier export may have brought it for another repository.
    fn find(&self, digest: &Digest) -> Result<Option<Found>, Error> {
        if let Some(found) = self.contents.blob(digest)? {
            return Ok(Some(found));
        }
        let size = self.receiver.stored_blob(digest)?;
        Ok(size.map(|size| Found::Stored {
            size,
            is_new: false,
        }))
    }

    /// Brings the files that a manifest needs.
    fn bring(&self, target: &mut Target<'_>, manifest: &Digest) -> Result<(), Error> {
        if target.files.is_empty() {
            return Ok(());
        }
        let files = std::mem::take(&mut target.files).into_values().collect();
        let arrived = self.receiver.bring(target.name, files)?;
        target.pieces.extend(arrived.pieces);
        for (digest, damage) in arrived.failed {
            self.report(&digest, damage);
            self.report(manifest, Damage::Gap(digest));
        }
        Ok(())
    }

    /// Reports whether the layout has a blob that an index lists, and transfers it.
    fn has_blob(&self, target: &mut Target<'_>, digest: &Digest) -> Result<bool, Error> {
        match self.contents.blob(digest)? {
            Some(Found::File(source)) => {
                let blob = ImportedBlob::new(digest.clone(), source);
                target.files.insert(digest.clone(), blob);
            }
            Some(Found::Stored { size, is_new }) => {
                self.receiver
                    .count_stored(target.name, digest, size, is_new);
                let piece = ImportPiece::Stored(target.name.clone(), vec![digest.clone()]);
                target.pieces.push(piece);
            }
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Transfers images without a name that are about what was transferred, and those about them.
    fn unnamed_referrers(&self, target: &mut Target<'_>) -> Result<(), Error> {
        let plan = target.plan;
        let mut rest = Vec::new();
        for digest in &plan.unnamed {
            if let Ok(manifest) = self.manifest(target, digest)?
                && let Some(subject) = manifest.subject()
            {
                rest.push((digest, subject.clone()));
            }
        }
        loop {
            let is_about = |(_, subject): &(&Digest, Digest)| target.seen.contains(subject);
            let (about, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_about);
            if about.is_empty() {
                return Ok(());
            }
            for (digest, _) in about {
                self.image(target, digest)?;
            }
            rest = others;
        }
    }

    fn tags(
        &self,
        target: &mut Target<'_>,
        images: &[(Option<TagName>, Digest)],
    ) -> Result<(), Error> {
        let tags = images.iter().filter_map(|(tag, digest)| {
            let is_here =
                target.sound.contains(digest) || target.present.manifests.contains(digest);
            let tag = tag.clone().filter(|_| is_here)?;
            Some(ImportedTag::named(tag, digest.clone(), self.now))
        });
        let mut to_set = Vec::new();
        for (tag, fate) in self.receiver.judge(target.name, tags.collect())? {
            let damage = match fate {
                TagFate::Set | TagFate::Moved(_) => {
                    to_set.push(tag);
                    continue;
                }
                TagFate::Unchanged => continue,
                TagFate::KeptHere | TagFate::ChangedOnBothSides => Damage::PushedHere,
                TagFate::Immutable(reason) => Damage::Immutable(reason),
            };
            let path = format!("{}:{}", target.name, tag.name);
            self.receiver.report(Path::new(&path), damage);
        }
        if !to_set.is_empty() {
            let piece = ImportPiece::Tags(target.name.clone(), to_set);
            target.pieces.push(piece);
        }
        Ok(())
    }
}
