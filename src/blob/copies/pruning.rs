//! Removal of what a backup does not need, or of all of it.

use std::fs;
use std::io::{self, ErrorKind};

use crate::blob::store::BlobStore;
use crate::oci::{Algorithm, Digest};

impl BlobStore {
    /// Removes everything. Blocks.
    ///
    /// For a directory that no process uses: a backup that was never complete.
    pub fn clear(&self) -> io::Result<()> {
        for directory in [self.blobs_path(), self.uploads_path()] {
            match fs::remove_dir_all(directory) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes every file below `blobs/` that is no blob, or one that `is_listed` does not name. Blocks.
    ///
    /// For a directory that no process uses: a backup. No link is followed: links are removed as files are.
    pub fn prune(&self, is_listed: &mut dyn FnMut(&Digest) -> io::Result<bool>) -> io::Result<()> {
        for algorithm in Algorithm::ALL {
            let directory = self.blobs()?.place(algorithm.as_str());
            for shard in present(directory.names())? {
                let shard = directory.join(&shard?);
                if !shard.metadata()?.is_dir() {
                    shard.remove()?;
                    continue;
                }
                for name in shard.names()? {
                    let name = name?;
                    let place = shard.join(&name);
                    let is_kept = match Digest::parse(&format!("{}:{name}", algorithm.as_str())) {
                        Ok(digest) => is_listed(&digest)?,
                        Err(_) => place.metadata()?.is_dir(),
                    };
                    if !is_kept {
                        place.remove()?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Iterates over the names in a directory; none if it is missing.
fn present(
    names: io::Result<impl Iterator<Item = io::Result<String>>>,
) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    match names {
        Ok(names) => Ok(Some(names).into_iter().flatten()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        Err(error) => Err(error),
    }
}
