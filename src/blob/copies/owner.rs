//! The owner of a copy: that of the data directory, where this process may choose it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Gid, Uid};

use crate::blob::store::BlobStore;
use crate::files::regular_file::{self, Links};
use crate::oci::Algorithm;

/// Owner of the files of a copy, if this process may choose it and would be another one.
pub(super) struct Owner(Option<(Uid, Gid)>);

impl Owner {
    /// The owner of a data directory.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let found = fs::metadata(directory)?;
        let is_chosen = rustix::process::geteuid().is_root() && found.uid() != 0;
        Ok(Self(is_chosen.then(|| {
            (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()))
        })))
    }

    /// Gives a file or directory this owner.
    pub fn give_file(&self, file: &File) {
        if let Some((user, group)) = self.0
            && let Err(error) = rustix::fs::fchown(file, Some(user), Some(group))
        {
            tracing::debug!(%error, "cannot give a copy the owner of the data directory");
        }
    }

    /// Gives the directories of a store, and these files in it, this owner. Blocks.
    ///
    /// # Errors
    /// Those of the file system, and a link or a second name in the place of one of them.
    pub fn give(&self, store: &BlobStore, files: &[&Path]) -> io::Result<()> {
        if self.0.is_none() {
            return Ok(());
        }
        for directory in [store.uploads()?, store.blobs()?] {
            self.give_file(&directory.reopen()?);
        }
        for algorithm in Algorithm::ALL {
            let directory = store.blobs()?.place(algorithm.as_str());
            self.give_file(&directory.open_directory()?);
            for name in directory.names()? {
                let shard = directory.join(&name?);
                if shard.metadata()?.is_dir() {
                    self.give_file(&shard.open_directory()?);
                }
            }
        }
        for path in files {
            let file = regular_file::open(path, File::options().read(true), Links::Reject)?;
            if file.metadata()?.nlink() > 1 {
                let error = format!("{} has a second name", path.display());
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
            self.give_file(&file);
        }
        // last: from here on, its new owner may put links in it
        self.give_file(&File::open(store.root())?);
        Ok(())
    }
}
