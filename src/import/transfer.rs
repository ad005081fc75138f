//! The way of one repository from the other registry's files to pieces of content.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use tokio::sync::mpsc::Sender;

use crate::import::damage::Damage;
use crate::import::distribution::link;
use crate::import::distribution::repository::{LinkedContent, StoredRepository};
use crate::import::distribution::store::DistributionStore;
use crate::import::error::Error;
use crate::oci::Digest;
use crate::registry::{self, ImportPiece, ImportedBlob, ImportedManifest, ImportedTag, Registry};

/// Maximum number of blobs or tags in a piece.
const PIECE: usize = 1000;
/// Maximum number of manifests in a piece.
const MANIFESTS: usize = 200;
/// Size of the manifests in a piece from which on it is full, in bytes.
const MANIFEST_BYTES: usize = 1 << 20;

/// A thread's share of the work: reads repositories, links their blobs, and sends the rest to be recorded.
pub(super) struct Transfer<'t> {
    pub store: &'t DistributionStore,
    pub registry: &'t Registry,
    pub pieces: Sender<ImportPiece>,
    pub report: &'t (dyn Fn(&Path, Damage) + Sync),
}

/// Known facts of a repository while it is read.
struct Content<'r> {
    repository: &'r StoredRepository,
    blobs: HashMap<Digest, ImportedBlob>,
    revisions: HashSet<Digest>,
    /// Blobs that were hashed because their size is not what a manifest says.
    hashed: HashSet<Digest>,
}

impl Transfer<'_> {
    /// Transfers a repository. Blocks.
    pub fn repository(&self, repository: &StoredRepository) -> Result<(), Error> {
        let blobs = self.blobs(repository)?;
        let revisions = repository.revisions(&mut |path, damage| (self.report)(path, damage))?;
        let mut content = Content {
            repository,
            blobs,
            revisions: HashSet::new(),
            hashed: HashSet::new(),
        };
        self.manifests(&mut content, &revisions)?;
        self.tags(&content)?;
        self.send(ImportPiece::End)
    }

    fn send(&self, piece: ImportPiece) -> Result<(), Error> {
        self.pieces
            .blocking_send(piece)
            .map_err(|_| Error::Interrupted)
    }

    fn blobs(&self, repository: &StoredRepository) -> Result<HashMap<Digest, ImportedBlob>, Error> {
        let layers = repository.layers(&mut |path, damage| (self.report)(path, damage))?;
        let mut found = HashMap::with_capacity(layers.len());
        for layers in layers.chunks(PIECE) {
            let mut piece = Vec::with_capacity(layers.len());
            for layer in layers {
                let source = match self.store.blob(&layer.stored_as)? {
                    Ok(source) => source,
                    Err(damage) => {
                        (self.report)(&layer.path, damage);
                        continue;
                    }
                };
                let blob = ImportedBlob {
                    digest: layer.digest.clone(),
                    source,
                };
                self.registry.import().link(&blob)?;
                found.insert(blob.digest.clone(), blob.clone());
                piece.push(blob);
            }
            self.send(ImportPiece::Blobs(repository.name.clone(), piece))?;
        }
        Ok(found)
    }

    fn manifests(
        &self,
        content: &mut Content<'_>,
        revisions: &[LinkedContent],
    ) -> Result<(), Error> {
        let name = content.repository.name.clone();
        let (mut piece, mut bytes) = (Vec::new(), 0);
        let listed: HashSet<_> = revisions.iter().map(|revision| &revision.digest).collect();
        for revision in revisions {
            let manifest = match self.manifest(revision)? {
                Ok(manifest) => manifest,
                Err(damage) => {
                    (self.report)(&revision.path, damage);
                    continue;
                }
            };
            self.check_references(content, &listed, revision, &manifest)?;
            content.revisions.insert(manifest.digest().clone());
            bytes += manifest.size();
            piece.push(manifest);
            if piece.len() >= MANIFESTS || bytes >= MANIFEST_BYTES {
                bytes = 0;
                let full = std::mem::take(&mut piece);
                self.send(ImportPiece::Manifests(name.clone(), full))?;
            }
        }
        self.send(ImportPiece::Manifests(name, piece))
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

    /// Names what a manifest misses, and hashes blobs of another size than it says.
    fn check_references(
        &self,
        content: &mut Content<'_>,
        listed: &HashSet<&Digest>,
        revision: &LinkedContent,
        manifest: &ImportedManifest,
    ) -> Result<(), Error> {
        for descriptor in manifest.descriptors() {
            let Ok(digest) = Digest::parse(&descriptor.digest) else {
                continue;
            };
            let Some(blob) = content.blobs.get(&digest) else {
                continue;
            };
            if u64::try_from(descriptor.size) != Ok(blob.source.size)
                && content.hashed.insert(digest.clone())
                && let Some(damage) = self.damage_of(blob)?
            {
                (self.report)(&revision.path, damage);
                content.blobs.remove(&digest);
                self.send(ImportPiece::Damaged(digest))?;
            }
        }
        for digest in manifest.required() {
            if !content.blobs.contains_key(digest) && !listed.contains(digest) {
                (self.report)(&revision.path, Damage::Gap(digest.clone()));
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
            Err(error) => Ok(Some(link::damage(self.store.path(), error)?)),
        }
    }

    fn tags(&self, content: &Content<'_>) -> Result<(), Error> {
        let repository = content.repository;
        let tags = repository.tags(&mut |path, damage| (self.report)(path, damage))?;
        let mut sound: Vec<ImportedTag> = Vec::with_capacity(tags.len());
        for tag in tags {
            if content.revisions.contains(&tag.target) {
                sound.push(tag);
            } else {
                (self.report)(
                    &repository.tag_path(&tag.name),
                    Damage::DanglingTag(tag.target),
                );
            }
        }
        while !sound.is_empty() {
            let rest = sound.split_off(sound.len().min(PIECE));
            let piece = std::mem::replace(&mut sound, rest);
            self.send(ImportPiece::Tags(repository.name.clone(), piece))?;
        }
        Ok(())
    }
}

fn is_schema_1(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes)
        .is_ok_and(|manifest| manifest["schemaVersion"] == 1)
}
