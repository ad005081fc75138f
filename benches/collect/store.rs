//! Stores made of rows, and of files where they are asked for.

use std::fs;
use std::path::{Path, PathBuf};

use tarkeep::blob::Hasher;
use tarkeep::meta::{Actor, Error, Meta, NewManifest, WriteTx, now};
use tarkeep::oci::{Algorithm, Digest, MediaType, RepositoryName, TagName};

/// Images in one repository.
pub const IMAGES: usize = 100;
/// Bytes of a blob.
const SIZE: usize = 512;

/// What is made.
#[derive(Clone, Copy)]
pub struct Plan {
    pub repositories: usize,
    /// Of each image, none of them shared.
    pub blobs: usize,
    pub has_files: bool,
}

impl Plan {
    pub fn blobs(self) -> usize {
        self.repositories * IMAGES * self.blobs
    }
}

pub fn name(number: usize) -> RepositoryName {
    RepositoryName::parse(&format!("group-{:03}/project-{number:06}", number % 100))
        .expect("a name")
}

/// Makes a store in `root`.
pub async fn make(root: &Path, plan: Plan) {
    fs::create_dir_all(root).expect("a directory");
    let meta = Meta::open(&root.join("registry.db"), Box::new(|| Ok(()))).expect("a database");
    for number in 0..plan.repositories {
        let digests: Vec<Digest> = (0..IMAGES * plan.blobs)
            .map(|blob| digest(number, blob))
            .collect();
        if plan.has_files {
            digests
                .iter()
                .enumerate()
                .for_each(|(blob, digest)| write(root, number, blob, digest));
        }
        meta.write(move |tx| fill(tx, number, &digests, plan.blobs))
            .await
            .expect("a commit");
    }
}

fn content(repository: usize, blob: usize) -> Vec<u8> {
    format!("{repository}-{blob}-")
        .into_bytes()
        .into_iter()
        .cycle()
        .take(SIZE)
        .collect()
}

fn digest(repository: usize, blob: usize) -> Digest {
    Hasher::digest(Algorithm::Sha256, &content(repository, blob))
}

/// Where a blob's file is.
pub fn path(root: &Path, digest: &Digest) -> PathBuf {
    root.join("blobs/sha256")
        .join(&digest.hex()[..2])
        .join(digest.hex())
}

fn write(root: &Path, repository: usize, blob: usize, digest: &Digest) {
    let path = path(root, digest);
    fs::create_dir_all(path.parent().expect("a shard")).expect("a shard");
    fs::write(path, content(repository, blob)).expect("a blob");
}

/// Every blob's file of a store.
pub fn files(root: &Path, plan: Plan) -> impl Iterator<Item = PathBuf> {
    (0..plan.repositories)
        .flat_map(move |number| (0..IMAGES * plan.blobs).map(move |blob| (number, blob)))
        .map({
            let root = root.to_owned();
            move |(number, blob)| path(&root, &digest(number, blob))
        })
}

fn fill(tx: &WriteTx<'_>, number: usize, digests: &[Digest], blobs: usize) -> Result<(), Error> {
    let now = now();
    let repository = tx.ensure_repository(&name(number), now)?;
    for (image, digests) in digests.chunks(blobs).enumerate() {
        let bytes = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","image":"{number}-{image}"}}"#,
            MediaType::OCI_MANIFEST
        );
        let manifest = NewManifest {
            digest: Hasher::digest(Algorithm::Sha256, bytes.as_bytes()),
            media_type: MediaType::OCI_MANIFEST.to_owned(),
            artifact_type: None,
            subject: None,
            bytes: bytes.into_bytes().into(),
        };
        let manifest = tx.insert_manifest(repository, &manifest, now)?;
        for digest in digests {
            let blob = tx.insert_blob(digest, SIZE as u64, now)?;
            tx.link_blob(repository, digest, blob, now)?;
            tx.add_blob_reference(manifest, blob, false)?;
        }
        tx.set_tag(
            repository,
            &TagName::parse(&format!("v{image}")).expect("a tag"),
            manifest,
            &Actor::default(),
            now,
        )?;
    }
    Ok(())
}
