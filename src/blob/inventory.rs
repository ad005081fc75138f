//! The files below `blobs/`, as they lie on the disk. No request asks for them: cost grows with the store.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::store::BlobStore;
use super::uploads::upload_of;
use crate::files::base_directory::{Place, is_irregular};
use crate::oci::{Algorithm, Digest};

/// A directory of blobs whose digests begin alike.
#[derive(Clone, Debug)]
pub struct Shard {
    algorithm: Algorithm,
    name: String,
}

/// A file with the name of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    inode: u64,
}

/// Content of a directory of blobs.
#[derive(Clone, Debug, Default)]
pub struct ShardFiles {
    pub blobs: Vec<StoredFile>,
    /// Everything but blobs that belong there: other names, links, and directories in the place of files. Paths below the
    /// data directory; that of the directory itself if it is none of blobs.
    pub foreign: Vec<String>,
}

impl BlobStore {
    /// Lists the directories of blobs, in byte order. Blocks.
    pub fn shards(&self) -> io::Result<Vec<Shard>> {
        let mut shards = Vec::new();
        for algorithm in Algorithm::ALL {
            let directory = self.blobs().map(|blobs| blobs.place(algorithm.as_str()));
            let mut names = names_in(directory)?;
            names.sort_unstable();
            let shard = |name| Shard { algorithm, name };
            shards.extend(names.into_iter().map(shard));
        }
        Ok(shards)
    }

    /// Lists a directory of blobs. Blocks.
    pub fn files_in(&self, shard: &Shard) -> io::Result<ShardFiles> {
        let Shard { algorithm, name } = shard;
        let algorithm = algorithm.as_str();
        let directory = || Ok(self.blobs()?.place(algorithm).join(name));
        let mut found = ShardFiles::default();
        let is_shard = name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_shard || !directory()?.metadata().is_ok_and(|place| place.is_dir()) {
            found.foreign.push(format!("blobs/{algorithm}/{name}"));
            return Ok(found);
        }
        for file in names_in(directory())? {
            let metadata = match directory()?.join(&file).metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata,
            };
            let digest = Digest::parse(&format!("{algorithm}:{file}")).ok();
            match (digest, metadata) {
                (Some(digest), Ok(metadata))
                    if metadata.is_file() && digest.hex()[..2] == *name =>
                {
                    found.blobs.push(StoredFile {
                        digest,
                        size: metadata.len(),
                        inode: metadata.ino(),
                    });
                }
                (Some(_), Err(error)) if !is_irregular(&error) => return Err(error),
                _ => found
                    .foreign
                    .push(format!("blobs/{algorithm}/{name}/{file}")),
            }
        }
        Ok(found)
    }

    /// Lists what lies beside the directories of blobs, as paths below the data directory. Blocks.
    pub fn foreign_files(&self) -> io::Result<Vec<String>> {
        let mut names = names_in(self.blobs().map(|blobs| blobs.place("")))?;
        names.retain(|name| Algorithm::parse(name).is_err());
        Ok(names.iter().map(|name| format!("blobs/{name}")).collect())
    }

    /// Reports whether there is a blob's file, other than those that are just being published. Blocks.
    pub fn has_content(&self) -> io::Result<bool> {
        // first: what gets a blob's name from here on has one of these
        let directory = || Ok(self.uploads()?.place(""));
        let (mut uploads, mut moved) = (HashSet::new(), HashSet::new());
        for name in names_in(directory())? {
            let metadata = directory()?.join(&name).metadata();
            uploads.extend(metadata.map(|metadata| metadata.ino()).ok());
            if let Some(id) = upload_of(&name) {
                moved.extend(self.moved_to(&id)?);
            }
        }
        let is_upload =
            |file: &StoredFile| uploads.contains(&file.inode) || moved.contains(&file.digest);
        for shard in self.shards()? {
            if !self.files_in(&shard)?.blobs.iter().all(is_upload) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Lists a directory; one that is absent, or is no directory, is empty.
fn names_in(directory: io::Result<Place<'_>>) -> io::Result<Vec<String>> {
    let is_none = |error: &io::Error| {
        let kind = error.kind();
        kind == io::ErrorKind::NotFound
            || kind == io::ErrorKind::NotADirectory
            || is_irregular(error)
    };
    match directory.and_then(|directory| directory.names()) {
        Ok(names) => names.collect(),
        Err(error) if is_none(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
