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

    /// Lists the regular files of a directory that have the names of blobs which belong there. Blocks.
    pub fn files_in(&self, shard: &Shard) -> io::Result<Vec<StoredFile>> {
        let algorithm = shard.algorithm.as_str();
        let directory = || Ok(self.blobs()?.place(algorithm).join(&shard.name));
        let mut files = Vec::new();
        for name in names_in(directory())? {
            let Ok(digest) = Digest::parse(&format!("{algorithm}:{name}")) else {
                continue;
            };
            let metadata = match directory()?.join(&name).metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            if metadata.is_file() && digest.hex()[..2] == shard.name {
                files.push(StoredFile {
                    digest,
                    size: metadata.len(),
                    inode: metadata.ino(),
                });
            }
        }
        Ok(files)
    }

    /// Lists what lies below `blobs/` and is no blob's file: other names, links, and directories in the place of files.
    ///
    /// At most `limit`, as paths below the data directory. Blocks.
    pub fn foreign_files(&self, limit: usize) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let root = || Ok(self.blobs()?.place(""));
        for name in names_in(root())? {
            if Algorithm::parse(&name).is_err() {
                found.push(format!("blobs/{name}"));
            }
        }
        for shard in self.shards()? {
            let Shard { algorithm, name } = &shard;
            let algorithm = algorithm.as_str();
            let directory = || Ok(self.blobs()?.place(algorithm).join(name));
            let is_shard = name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_shard || !directory()?.metadata().is_ok_and(|found| found.is_dir()) {
                found.push(format!("blobs/{algorithm}/{name}"));
                continue;
            }
            if found.len() >= limit {
                break;
            }
            for file in names_in(directory())? {
                let is_blob = Digest::parse(&format!("{algorithm}:{file}"))
                    .is_ok_and(|digest| digest.hex()[..2] == *name);
                if !is_blob
                    || !directory()?
                        .join(&file)
                        .metadata()
                        .is_ok_and(|found| found.is_file())
                {
                    found.push(format!("blobs/{algorithm}/{name}/{file}"));
                }
            }
        }
        found.truncate(limit);
        Ok(found)
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
            if !self.files_in(&shard)?.iter().all(is_upload) {
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
