//! A directory that is a backup, or becomes one.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::backup::error::Error;
use crate::files::regular_file::{self, Links};
use crate::registry::{BlobStore, DatabaseCopy, Registry, backup_mark, remove_copy, settle_log};

/// State of a directory that a backup is to be made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Absent,
    Empty,
    /// A first backup was interrupted.
    Begun,
    Backup,
}

/// A directory that a backup is made in.
pub(super) struct BackupDirectory {
    root: PathBuf,
    /// State before this backup.
    state: State,
}

/// Finds the state of a directory. Little is changed: SQLite may move a log into its database.
pub(super) fn state(root: &Path) -> Result<State, Error> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Absent),
        Err(error) => return Err(Error::files("reading", root)(error)),
    };
    if Registry::is_at(root) {
        let mark = backup_mark(&Registry::database_path(root)).map_err(Error::database(root))?;
        return match mark {
            Some(_) => Ok(State::Backup),
            None => Err(Error::NotABackup(root.to_owned())),
        };
    }
    if Registry::partial_database_path(root).exists() {
        return Ok(State::Begun);
    }
    for entry in entries {
        let name = entry.map_err(Error::files("reading", root))?.file_name();
        // of a new disk
        if name != "lost+found" {
            return Err(Error::NotEmpty(root.to_owned()));
        }
    }
    Ok(State::Empty)
}

/// Creates a directory for its owner alone, unless it exists.
pub(super) fn create(root: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(root) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(Error::files("creating", root)(error))
        }
        _ => Ok(()),
    }
}

pub(super) fn sync(directory: &Path) -> Result<(), Error> {
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::files("syncing", directory))
}

impl BackupDirectory {
    /// An existing directory, which the caller has locked.
    pub fn at(root: PathBuf) -> Result<Self, Error> {
        let state = state(&root)?;
        Ok(Self { root, state })
    }

    /// Makes the directory ready for a backup.
    pub fn prepare(&self) -> Result<(), Error> {
        if self.state == State::Backup {
            self.settle_log()?;
        } else if let Err(error) = fs::set_permissions(&self.root, Permissions::from_mode(0o700)) {
            // a directory that was made for it may be open to others
            tracing::debug!(%error, "cannot make the directory of a backup private");
        }
        let failed = Error::files("writing to", &self.root);
        // first, because it says whose the directory is
        let options = &mut OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        regular_file::open(&self.partial_database(), options, Links::Reject).map_err(&failed)?;
        self.blobs().prepare().map_err(&failed)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn partial_database(&self) -> PathBuf {
        Registry::partial_database_path(&self.root)
    }

    fn blobs(&self) -> BlobStore {
        BlobStore::copied_to(&self.root)
    }

    /// Replaces the database by the partial one, after everything that it lists is durable.
    pub fn complete(&self) -> Result<(), Error> {
        let failed = Error::files("completing", &self.root);
        if self.state == State::Backup {
            // a command may have opened it meanwhile
            self.settle_log()?;
        }
        // on btrfs, the sync of a directory makes no names in others durable
        self.blobs().sync_file_system().map_err(&failed)?;
        fs::rename(self.partial_database(), Registry::database_path(&self.root))
            .map_err(&failed)?;
        sync(&self.root)?;
        self.prune()
    }

    /// Makes the database before a single file: a log beside another database would damage that.
    fn settle_log(&self) -> Result<(), Error> {
        let path = Registry::database_path(&self.root);
        match settle_log(&path).map_err(Error::database(&self.root))? {
            true => Ok(()),
            false => Err(Error::Busy(self.root.clone())),
        }
    }

    /// Removes blobs that the database neither lists nor calls damaged.
    fn prune(&self) -> Result<(), Error> {
        let database = DatabaseCopy::open(&Registry::database_path(&self.root))
            .map_err(Error::database(&self.root))?;
        self.blobs()
            .prune(&mut |digest| database.names_blob(digest).map_err(io::Error::other))
            .map_err(Error::files("removing old blobs from", &self.root))
    }

    /// Removes what an unfinished backup has added, as far as that is possible.
    pub fn abandon(&self) {
        // this one too, once its database has its name
        let has_backup = !matches!(Registry::database_path(&self.root).try_exists(), Ok(false));
        let removed = if has_backup {
            self.restore()
        } else {
            self.clear()
        };
        if let Err(error) = removed {
            tracing::warn!(%error, "cannot remove an unfinished backup; the next one does");
        }
    }

    fn restore(&self) -> Result<(), Error> {
        remove_copy(&self.partial_database()).map_err(Error::files("clearing", &self.root))?;
        self.prune()
    }

    fn clear(&self) -> Result<(), Error> {
        let failed = Error::files("clearing", &self.root);
        self.blobs().clear().map_err(&failed)?;
        // last, because it says whose the directory is
        remove_copy(&self.partial_database()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_fails_once_it_has_its_database_keeps_its_blobs() {
        let root = tempfile::tempdir().unwrap();
        let directory = BackupDirectory::at(root.path().to_owned()).unwrap();
        let shard = root.path().join("blobs/sha256/aa");
        let blob = shard.join("a".repeat(64));
        for is_complete in [true, false] {
            directory.prepare().unwrap();
            fs::create_dir_all(&shard).unwrap();
            fs::write(&blob, "").unwrap();
            let database = Registry::database_path(root.path());
            if is_complete {
                fs::rename(directory.partial_database(), &database).unwrap();
            }
            directory.abandon();
            assert_eq!(blob.exists(), is_complete);
            if is_complete {
                fs::remove_file(database).unwrap();
            }
        }
    }
}
