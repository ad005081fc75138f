//! The files below `blobs/`, as they lie on the disk. No request asks for them: cost grows with the store.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::store::BlobStore;
use crate::oci::{Algorithm, Digest};

/// A directory of blobs whose digests begin alike.
#[derive(Clone, Debug)]
pub struct Shard {
    algorithm: Algorithm,
    path: PathBuf,
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
            let entries = entries(self.blobs().join(algorithm.as_str()))?;
            shards.extend(entries.into_iter().map(|entry| Shard {
                algorithm,
                path: entry.path(),
            }));
        }
        shards.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Ok(shards)
    }

    /// Lists the regular files of a directory that have the names of blobs which belong there. Blocks.
    pub fn files_in(&self, shard: &Shard) -> io::Result<Vec<StoredFile>> {
        let mut files = Vec::new();
        for entry in entries(shard.path.clone())? {
            let name = entry.file_name();
            let digest = format!("{}:{}", shard.algorithm.as_str(), name.to_string_lossy());
            let Ok(digest) = Digest::parse(&digest) else {
                continue;
            };
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            if metadata.is_file() && self.blob_path(&digest) == entry.path() {
                files.push(StoredFile {
                    digest,
                    size: metadata.len(),
                    inode: metadata.ino(),
                });
            }
        }
        Ok(files)
    }

    /// Reports whether there is a blob's file, other than those that are just being published. Blocks.
    pub fn has_content(&self) -> io::Result<bool> {
        // first: what gets a blob's name from here on has one of these
        let uploads = entries(self.uploads())?;
        let uploads = uploads.iter().map(|entry| Ok(entry.metadata()?.ino()));
        let uploads: HashSet<u64> = uploads.filter_map(io::Result::ok).collect();
        for shard in self.shards()? {
            let files = self.files_in(&shard)?;
            if files.iter().any(|file| !uploads.contains(&file.inode)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Lists a directory; one that is absent, or is no directory, is empty.
fn entries(path: PathBuf) -> io::Result<Vec<DirEntry>> {
    match fs::read_dir(path) {
        Ok(entries) => entries.collect(),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}
