//! Stores generated through the metadata layer, with blob files on request.

use std::fs;
use std::path::Path;

use tarkeep::blob::Hasher;
use tarkeep::meta::{Actor, Error, Meta, NewManifest, TagOrigin, TagTarget, WriteTx, now};
use tarkeep::oci::{Algorithm, Digest, MediaType, Reference, RepositoryName, TagName};

/// Size of a blob, in bytes.
const BLOB_SIZE: usize = 512;
/// Manifests written in one transaction, at least one repository's.
const BATCH: usize = 500;

/// Size of a generated store.
#[derive(Clone, Copy)]
pub struct Plan {
    pub repositories: usize,
    /// Manifests in each repository.
    pub manifests: usize,
    /// Tags of each manifest.
    pub tags: usize,
    /// Blobs of each manifest, none of them shared.
    pub blobs: usize,
    pub has_files: bool,
}

impl Plan {
    fn blobs_per_repository(self) -> usize {
        self.manifests * self.blobs
    }

    /// Returns the digests of a repository's blobs.
    fn digests(self, repository: usize) -> impl Iterator<Item = Digest> {
        (0..self.blobs_per_repository())
            .map(move |blob| Hasher::digest(Algorithm::Sha256, &content(repository, blob)))
    }
}

pub fn name(repository: usize) -> RepositoryName {
    let text = format!("group-{:03}/project-{repository:06}", repository % 1000);
    RepositoryName::parse(&text).expect("a name")
}

/// Generates a store in `root`.
pub async fn generate(root: &Path, plan: Plan) {
    fs::create_dir_all(root).expect("a directory");
    let meta = Meta::open(&root.join("registry.db"), Box::new(|| Ok(()))).expect("a database");
    let step = (BATCH / plan.manifests).max(1);
    for first in (0..plan.repositories).step_by(step) {
        let numbers = first..plan.repositories.min(first + step);
        if plan.has_files {
            numbers
                .clone()
                .for_each(|number| write_files(root, plan, number));
        }
        meta.write(move |tx| {
            numbers
                .clone()
                .try_for_each(|number| fill(tx, plan, number))
        })
        .await
        .expect("a commit");
    }
}

fn content(repository: usize, blob: usize) -> Vec<u8> {
    let text = format!("{repository}-{blob}-").into_bytes();
    text.into_iter().cycle().take(BLOB_SIZE).collect()
}

fn write_files(root: &Path, plan: Plan, repository: usize) {
    for (blob, digest) in plan.digests(repository).enumerate() {
        let shard = root.join("blobs/sha256").join(&digest.hex()[..2]);
        fs::create_dir_all(&shard).expect("a shard");
        fs::write(shard.join(digest.hex()), content(repository, blob)).expect("a blob");
    }
}

fn fill(tx: &WriteTx<'_>, plan: Plan, number: usize) -> Result<(), Error> {
    let now = now();
    let repository = tx.ensure_repository(&name(number), now)?;
    let mut digests = plan.digests(number);
    for image in 0..plan.manifests {
        let new = manifest(number, image);
        let manifest = tx.insert_manifest(repository, &new, now)?;
        for digest in digests.by_ref().take(plan.blobs) {
            let blob = tx.insert_blob(&digest, BLOB_SIZE as u64, now)?;
            tx.link_blob(repository, &digest, blob, now)?;
            let reference = Reference {
                digest,
                is_child: false,
                is_optional: false,
            };
            tx.add_blob_reference(manifest, blob, &reference)?;
        }
        for tag in 0..plan.tags {
            let tag = format!("v{}", image * plan.tags + tag);
            let tag = TagName::parse(&tag).expect("a tag");
            let origin = TagOrigin::push(now);
            let target = TagTarget {
                manifest,
                digest: &new.digest,
            };
            tx.set_tag(repository, &tag, target, origin, &Actor::default(), now)?;
        }
    }
    Ok(())
}

fn manifest(repository: usize, image: usize) -> NewManifest {
    let bytes = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{}},"image":"{repository}-{image}"}}"#,
        MediaType::OCI_MANIFEST
    );
    NewManifest {
        digest: Hasher::digest(Algorithm::Sha256, bytes.as_bytes()),
        media_type: MediaType::OCI_MANIFEST.to_owned(),
        artifact_type: None,
        subject: None,
        bytes: bytes.into_bytes().into(),
    }
}
