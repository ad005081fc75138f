//! The way of one repository from the other registry's files to pieces of content.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::import::damage::Damage;
use crate::import::distribution::repository::{LinkedContent, StoredRepository};
use crate::import::distribution::store::DistributionStore;
use crate::import::error::Error;
use crate::import::files;
use crate::import::receiver::Receiver;
use crate::oci::{Digest, RepositoryName};
use crate::registry::{self, ImportPiece, ImportedBlob, ImportedManifest, ImportedTag, Present};

/// Number of blobs from which on a piece is full.
const BLOBS: usize = 500;
/// Maximum number of manifests in a piece.
const MANIFESTS: usize = 200;
/// Size of the manifests in a piece from which on it is full, in bytes.
const MANIFEST_BYTES: usize = 1 << 20;

/// A thread's share of the work: reads repositories and passes on what it finds.
pub(super) struct Transfer<'t> {
    pub store: &'t DistributionStore,
    pub receiver: &'t dyn Receiver,
}

/// Known facts of a repository while it is read.
struct Content<'r> {
    repository: &'r StoredRepository,
    /// Name that it gets here.
    name: &'r RepositoryName,
    present: Present,
    /// Blobs that the repository shows; those that are not here yet, with their files. They come in this order.
    blobs: BTreeMap<Digest, Option<Waiting>>,
    /// Manifests that its links name.
    listed: HashSet<Digest>,
    /// Manifests that are sound.
    sound: HashSet<Digest>,
    /// Blobs that were hashed because their size is not what a manifest says.
    hashed: HashSet<Digest>,
    /// Configs of images that were checked, with what is wrong with them.
    configs: HashMap<Digest, Option<Damage>>,
    pieces: Vec<ImportPiece>,
}

/// A blob that is to be brought, and the link that names it.
struct Waiting {
    path: PathBuf,
    blob: ImportedBlob,
}

/// Manifests that are passed on at once, with the blobs that they need.
#[derive(Default)]
struct Chunk {
    manifests: Vec<(PathBuf, ImportedManifest)>,
    blobs: Vec<Waiting>,
    /// Size of the manifests.
    bytes: usize,
}

impl Chunk {
    fn is_full(&self) -> bool {
        self.manifests.len() >= MANIFESTS
            || self.bytes >= MANIFEST_BYTES
            || self.blobs.len() >= BLOBS
    }
}

impl Transfer<'_> {
    /// Transfers a repository under the name that it gets here. Blocks.
    pub fn repository(
        &self,
        repository: &StoredRepository,
        name: &RepositoryName,
    ) -> Result<(), Error> {
        let present = self.receiver.present(name)?;
        let blobs = self.blobs(repository, &present)?;
        let revisions = repository.revisions(&present.manifests, &mut |path, damage| {
            self.receiver.report(path, damage);
        })?;
        let mut content = Content {
            repository,
            name,
            blobs,
            listed: revisions
                .iter()
                .map(|revision| revision.digest.clone())
                .collect(),
            sound: HashSet::new(),
            present,
            hashed: HashSet::new(),
            configs: HashMap::new(),
            pieces: Vec::new(),
        };
        self.manifests(&mut content, &revisions)?;
        self.unneeded_blobs(&mut content)?;
        self.tags(&mut content)?;
        content.pieces.push(ImportPiece::End);
        self.receiver.take(content.pieces)
    }

    fn report(&self, path: &Path, damage: Damage) {
        self.receiver.report(path, damage);
    }

    /// Finds the files of blobs that are not here.
    fn blobs(
        &self,
        repository: &StoredRepository,
        present: &Present,
    ) -> Result<BTreeMap<Digest, Option<Waiting>>, Error> {
        let mut found: BTreeMap<_, _> = present
            .blobs
            .iter()
            .map(|digest| (digest.clone(), None))
            .collect();
        let layers = repository.layers(&present.blobs, &mut |path, damage| {
            self.report(path, damage);
        })?;
        for layer in layers {
            match self.store.blob(&layer.stored_as)? {
                Ok(source) => {
                    let blob = ImportedBlob::new(layer.digest.clone(), source);
                    let path = layer.path;
                    found.insert(layer.digest, Some(Waiting { path, blob }));
                }
                Err(damage) => self.report(&layer.path, damage),
            }
        }
        Ok(found)
    }

    fn manifests(
        &self,
        content: &mut Content<'_>,
        revisions: &[LinkedContent],
    ) -> Result<(), Error> {
        let mut chunk = Chunk::default();
        for revision in revisions {
            let manifest = match self.manifest(revision)? {
                Ok(manifest) => manifest,
                Err(damage) => {
                    self.report(&revision.path, damage);
                    continue;
                }
            };
            self.check_sizes(content, revision, &manifest)?;
            if let Some(damage) = self.config_damage(content, &manifest)? {
                self.report(&revision.path, damage);
                continue;
            }
            let needed = manifest
                .required()
                .filter_map(|digest| content.blobs.get_mut(digest)?.take());
            chunk.blobs.extend(needed);
            content.sound.insert(manifest.digest().clone());
            chunk.bytes += manifest.size();
            chunk.manifests.push((revision.path.clone(), manifest));
            if chunk.is_full() {
                self.pass_on(content, std::mem::take(&mut chunk))?;
            }
        }
        self.pass_on(content, chunk)
    }

    fn manifest(
        &self,
        revision: &LinkedContent,
    ) -> Result<Result<ImportedManifest, Damage>, Error> {
        let bytes = match self.store.manifest(&revision.stored_as)? {
            Ok(bytes) => bytes,
            Err(damage) => return Ok(Err(damage)),
        };
        let is_schema_1 = is_schema_1(&bytes);
        let parsed = ImportedManifest::parse(revision.digest.clone(), bytes.into(), revision.time);
        Ok(parsed.map_err(|error| match error {
            registry::Error::DigestMismatch { actual, .. } => Damage::AlteredManifest(actual),
            _ if is_schema_1 => Damage::Schema1,
            error => Damage::InvalidManifest(error.to_string()),
        }))
    }

    /// Checks the config of an image, once for all images that name it.
    fn config_damage(
        &self,
        content: &mut Content<'_>,
        manifest: &ImportedManifest,
    ) -> Result<Option<Damage>, Error> {
        let Some(digest) = manifest.image_config() else {
            return Ok(None);
        };
        if let Some(known) = content.configs.get(&digest) {
            return Ok(known.clone());
        }
        let source = match content.blobs.get(&digest) {
            Some(Some(waiting)) => Some(waiting.blob.source.clone()),
            // it is here, or on its way
            _ => self.store.blob(&digest)?.ok(),
        };
        let refused = match source {
            // what cannot be read does not come either
            Some(source) => source.refused_config().ok().flatten(),
            None => self.receiver.refused_config(&digest)?,
        };
        let damage = refused.map(|error| Damage::InvalidConfig(digest.clone(), error.to_string()));
        content.configs.insert(digest, damage.clone());
        Ok(damage)
    }

    /// Hashes blobs of another size than a manifest says.
    fn check_sizes(
        &self,
        content: &mut Content<'_>,
        revision: &LinkedContent,
        manifest: &ImportedManifest,
    ) -> Result<(), Error> {
        for descriptor in manifest.descriptors() {
            let Ok(digest) = Digest::parse(&descriptor.digest) else {
                continue;
            };
            let Some(Some(Waiting { blob, .. })) = content.blobs.get(&digest) else {
                continue;
            };
            if u64::try_from(descriptor.size) != Ok(blob.source.size)
                && content.hashed.insert(digest.clone())
                && let Some(damage) = self.damage_of(blob)?
            {
                self.report(&revision.path, damage);
                content.blobs.remove(&digest);
                content.pieces.push(ImportPiece::Damaged(digest));
            }
        }
        Ok(())
    }

    /// Hashes a blob; a size that is wrong only in the manifest is no damage of the blob.
    fn damage_of(&self, blob: &ImportedBlob) -> Result<Option<Damage>, Error> {
        let digest = &blob.digest;
        match blob.source.hash(digest.algorithm()) {
            Ok(actual) if actual == *digest => Ok(None),
            Ok(_) => Ok(Some(Damage::AlteredBlob(digest.clone()))),
            Err(error) => Ok(Some(files::damage(self.store.path(), error)?)),
        }
    }

    /// Passes manifests on with their blobs, and names what they miss.
    fn pass_on(&self, content: &mut Content<'_>, chunk: Chunk) -> Result<(), Error> {
        self.bring(content, chunk.blobs)?;
        let mut manifests = Vec::with_capacity(chunk.manifests.len());
        for (path, manifest) in chunk.manifests {
            for digest in manifest.required() {
                let is_there = content.blobs.contains_key(digest)
                    || content.listed.contains(digest)
                    || content.present.manifests.contains(digest);
                if !is_there {
                    self.report(&path, Damage::Gap(digest.clone()));
                }
            }
            manifests.push(manifest);
        }
        if !manifests.is_empty() {
            let piece = ImportPiece::Manifests(content.name.clone(), manifests);
            content.pieces.push(piece);
            self.receiver.take(std::mem::take(&mut content.pieces))?;
        }
        Ok(())
    }

    fn bring(&self, content: &mut Content<'_>, waiting: Vec<Waiting>) -> Result<(), Error> {
        if waiting.is_empty() {
            return Ok(());
        }
        let paths: HashMap<_, _> = waiting
            .iter()
            .map(|waiting| (waiting.blob.digest.clone(), waiting.path.clone()))
            .collect();
        let blobs = waiting.into_iter().map(|waiting| waiting.blob).collect();
        let arrived = self.receiver.bring(content.name, blobs)?;
        content.pieces.extend(arrived.pieces);
        for (digest, damage) in arrived.failed {
            content.blobs.remove(&digest);
            if let Some(path) = paths.get(&digest) {
                self.report(path, damage);
            }
        }
        Ok(())
    }

    /// Brings what no manifest needs: clients may be about to push one.
    fn unneeded_blobs(&self, content: &mut Content<'_>) -> Result<(), Error> {
        let mut waiting: Vec<_> = content
            .blobs
            .values_mut()
            .filter_map(Option::take)
            .collect();
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(BLOBS));
            self.bring(content, std::mem::replace(&mut waiting, rest))?;
            self.receiver.take(std::mem::take(&mut content.pieces))?;
        }
        Ok(())
    }

    fn tags(&self, content: &mut Content<'_>) -> Result<(), Error> {
        let repository = content.repository;
        let mut sound: Vec<ImportedTag> = Vec::new();
        for tag in repository.tags(&mut |path, damage| self.report(path, damage))? {
            if content.sound.contains(&tag.target)
                || content.present.manifests.contains(&tag.target)
            {
                sound.push(tag);
            } else {
                self.report(
                    &repository.tag_path(&tag.name),
                    Damage::DanglingTag(tag.target),
                );
            }
        }
        let path = |tag: &_| repository.tag_path(tag);
        let pieces = self.receiver.settle(content.name, sound, &path)?;
        content.pieces.extend(pieces);
        Ok(())
    }
}

/// The member of a manifest that names its schema; the others would take memory.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versioned {
    schema_version: i64,
}

fn is_schema_1(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Versioned>(bytes).is_ok_and(|manifest| manifest.schema_version == 1)
}
