//! An archive or directory on its way: it is beside its destination until it is complete and durable.
//!
//! Its name is always the same, so that the next export to the same destination replaces what a killed one has left.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags};

use crate::export::error::Error;
use crate::files::regular_file::{self, Links};
use crate::oci::layout::{DOCKER_FILE, INDEX_FILE, LayoutIndex, MARK_FILE, OWN_NAME};

/// Everything in the directory of an export.
const ROOT: [&str; 4] = [MARK_FILE, INDEX_FILE, DOCKER_FILE, "blobs"];

/// A place beside the destination, locked for this process.
pub(super) struct Staging {
    /// The destination.
    target: PathBuf,
    path: PathBuf,
    lock: File,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Archive,
    Directory,
}

impl Staging {
    /// Begins an archive.
    ///
    /// # Errors
    /// Nothing can be created there, or another export goes to the same destination.
    pub fn archive(target: &Path) -> Result<Self, Error> {
        // follow a symbolic link, so that it stays one
        let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let staging = Self::lock(&target, Kind::Archive, |path| {
            regular_file::open(path, &options, Links::Reject)
        })?;
        cut(&staging.lock).map_err(|cause| Error::destination(&target, cause))?;
        Ok(staging)
    }

    /// Begins a directory.
    ///
    /// # Errors
    /// As [`Self::archive`], and if the destination holds anything but an earlier export.
    pub fn directory(target: &Path) -> Result<Self, Error> {
        let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        check_replaceable(&target)?;
        let staging = Self::lock(&target, Kind::Directory, |path| {
            match fs::create_dir(path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                _ => open_directory(path),
            }
        })?;
        empty(&staging.path).map_err(|cause| Error::destination(&target, cause))?;
        Ok(staging)
    }

    fn lock(
        target: &Path,
        kind: Kind,
        open: impl Fn(&Path) -> io::Result<File>,
    ) -> Result<Self, Error> {
        let failed = |cause: io::Error| Error::destination(target, cause);
        let name = target
            .file_name()
            .ok_or_else(|| failed(ErrorKind::InvalidInput.into()))?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".partial");
        let path = target.with_file_name(hidden);
        loop {
            let lock = open(&path).map_err(failed)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::destination(target, "another export writes there"));
                }
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
            // the former owner may have given it the name of the destination, or removed it
            if is_at(&lock, &path) {
                let target = target.to_owned();
                return Ok(Self {
                    target,
                    path,
                    lock,
                    kind,
                });
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the archive, for writing.
    pub fn file(&self) -> io::Result<File> {
        self.lock.try_clone()
    }

    /// Makes everything durable, and gives it the name of the destination.
    pub fn publish(&self) -> io::Result<()> {
        match self.kind {
            Kind::Archive => {
                self.lock.sync_all()?;
                fs::rename(&self.path, &self.target)?;
            }
            Kind::Directory => {
                // one sync for all of its files
                rustix::fs::syncfs(&self.lock)?;
                self.exchange()?;
            }
        }
        sync_parent(&self.target)
    }

    /// Gives the directory its name, and an earlier export there its own one.
    fn exchange(&self) -> io::Result<()> {
        match fs::rename(&self.path, &self.target) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            other => return other,
        }
        rustix::fs::renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::EXCHANGE)
            .map_err(|error| {
                io::Error::other(format!(
                    "the earlier export there cannot be replaced at once ({}): remove it first",
                    io::Error::from(error)
                ))
            })
    }

    /// Removes what is left: an incomplete export, or the earlier one that was replaced.
    pub fn clear(self) {
        // the next export to the same destination removes what cannot be removed now
        let _ = match self.kind {
            Kind::Archive => rustix::fs::unlink(&self.path).map_err(io::Error::from),
            Kind::Directory => fs::remove_dir_all(&self.path),
        };
    }
}

/// Opens a directory that is there itself, not by a link: whoever else may write there could plant one.
fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// Removes what an earlier export left in its file.
fn cut(archive: &File) -> io::Result<()> {
    if archive.metadata()?.nlink() > 1 {
        let error = "the file beside it, which ends in .partial, has a second name: remove it";
        return Err(io::Error::other(error));
    }
    archive.set_len(0)
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(own), Ok(named)) => (own.dev(), own.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Removes everything in a directory.
fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            rustix::fs::unlink(entry.path())?;
        }
    }
    Ok(())
}

/// Rejects a directory with anything but an export of this program.
fn check_replaceable(target: &Path) -> Result<(), Error> {
    let failed = |cause: io::Error| Error::destination(target, cause);
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let (mut is_empty, mut is_export) = (true, true);
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        is_empty = false;
        is_export &= ROOT.iter().any(|known| name == **known);
    }
    if is_empty || (is_export && has_own_index(target)) {
        return Ok(());
    }
    Err(Error::destination(
        target,
        "it holds something else than an earlier export: name a new directory",
    ))
}

/// True if this program wrote the list of images.
fn has_own_index(target: &Path) -> bool {
    let index = regular_file::read(&target.join(INDEX_FILE)).ok();
    let index = index.and_then(|bytes| serde_json::from_slice::<LayoutIndex>(&bytes).ok());
    index.is_some_and(|index| {
        index.manifests.iter().all(|entry| {
            let annotations = entry.annotations.as_ref();
            annotations.is_some_and(|names| names.contains_key(OWN_NAME))
        })
    })
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
