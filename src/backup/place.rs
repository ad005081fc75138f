//! Destinations of backups.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::backup::directory::{BackupDirectory, State, create, state};
use crate::backup::error::Error;
use crate::backup::generations::Generations;
use crate::files::resolved::is_inside;
use crate::registry::{BlobStore, DirectoryLock, KeptOpen};

/// Destination of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A directory that is the backup, renewed each time.
    Directory(PathBuf),
    /// A directory that holds dated backups, and keeps the newest of them.
    Dated { to: PathBuf, keep: usize },
}

/// A destination that is open and locked.
pub(super) struct Place {
    pub directory: BackupDirectory,
    /// An earlier backup beside it.
    pub earlier: Option<PathBuf>,
    destination: Destination,
    /// The directory was created for this backup.
    is_new: bool,
    _lock: KeptOpen,
}

impl Destination {
    /// The path that the owner has named.
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(path) | Self::Dated { to: path, .. } => path,
        }
    }

    /// Returns the directories whose blobs need not be copied, without changing anything.
    pub(super) fn known(&self, root: &Path) -> Result<(PathBuf, Option<PathBuf>), Error> {
        self.check_outside(root)?;
        match self {
            Self::Directory(path) => {
                state(path)?;
                Ok((path.clone(), None))
            }
            Self::Dated { to, .. } => {
                let generations = Generations::new(to);
                Ok((generations.partial(), generations.newest()?))
            }
        }
    }

    /// Opens and locks the destination, and creates what is missing.
    pub(super) fn open(&self, root: &Path) -> Result<Place, Error> {
        self.check_outside(root)?;
        let locked = |path: &Path| {
            BlobStore::new(path)
                .lock_directory(DirectoryLock::Exclusive)
                .map_err(Error::files("locking", path))?
                .ok_or_else(|| Error::Busy(path.to_owned()))
        };
        let (path, earlier, is_new, lock) = match self {
            Self::Directory(path) => {
                let is_new = state(path)? == State::Absent;
                if is_new {
                    create(path)?;
                }
                (path.clone(), None, is_new, locked(path)?)
            }
            Self::Dated { to, .. } => {
                let generations = Generations::new(to);
                let (earlier, path) = (generations.newest()?, generations.partial());
                let lock = locked(to)?;
                create(&path)?;
                (path, earlier, true, lock)
            }
        };
        let place = Place {
            directory: BackupDirectory::at(path)?,
            earlier,
            destination: self.clone(),
            is_new,
            _lock: lock,
        };
        let prepared = place.directory.prepare();
        if prepared.is_err() {
            place.abandon();
        }
        prepared.map(|()| place)
    }

    /// Fails if the destination lies inside of the data directory `root`.
    ///
    /// # Errors
    /// [`Error::InsideData`].
    pub fn check_outside(&self, root: &Path) -> Result<(), Error> {
        let path = self.path();
        if is_inside(path, root) {
            Err(Error::InsideData(path.to_owned()))
        } else {
            Ok(())
        }
    }
}

impl Place {
    /// Removes what the unfinished backup has added.
    pub fn abandon(&self) {
        self.directory.abandon();
        if self.is_new {
            // not empty if it was another backup before
            let _ = std::fs::remove_dir(self.directory.root());
        }
    }

    /// Has the backup of that time count, and removes what it replaces.
    pub fn complete(&self, at: SystemTime) -> Result<PathBuf, Error> {
        self.directory.complete()?;
        match &self.destination {
            Destination::Directory(path) => Ok(path.clone()),
            Destination::Dated { to, keep } => {
                let generations = Generations::new(to);
                let path = generations.add(at)?;
                // it counts already: what cannot be removed is no failure of it
                if let Err(error) = generations.expire(*keep) {
                    tracing::warn!(%error, "cannot remove old backups");
                }
                Ok(path)
            }
        }
    }
}

/// Reports whether two paths, or their nearest existing parents, are on one file system.
pub(super) fn are_on_one_disk(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| {
        let absolute = std::path::absolute(path).ok()?;
        let mut found = absolute.ancestors().filter_map(|path| path.metadata().ok());
        found.next().map(|metadata| metadata.dev())
    };
    matches!((device(one), device(other)), (Some(one), Some(other)) if one == other)
}
