//! Directories below which no symbolic link is followed.
//!
//! Whoever may write below them could otherwise lead the server to files elsewhere. Their own paths are resolved once, and may
//! lead over links: people put them on other disks so.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::regular_file::{self, Links};

/// A directory below which no symbolic link is followed.
pub struct BaseDirectory {
    directory: OwnedFd,
    path: PathBuf,
    lookup: Lookup,
}

/// Resolution of paths below the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    /// By one call of `openat2`.
    Kernel,
    /// Component by component: before Linux 5.6, and in sandboxes that do not know `openat2`.
    Steps,
}

/// A path below a directory, where something is or will be.
#[derive(Clone)]
pub struct Place<'b> {
    base: &'b BaseDirectory,
    path: PathBuf,
}

impl BaseDirectory {
    /// Opens a directory. Links on the way to it are followed.
    ///
    /// # Errors
    /// File system errors, with its path.
    pub fn open(path: &Path, links: Links) -> io::Result<Self> {
        let here = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let flags = match links {
            Links::Follow => here,
            Links::Reject => here | OFlags::NOFOLLOW,
        };
        let directory = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| named(path, error.into()))?;
        let lookup = match open_by_kernel(&directory, Path::new("."), here, Mode::empty()) {
            Ok(_) => Lookup::Kernel,
            Err(_) => Lookup::Steps,
        };
        Ok(Self {
            directory,
            path: path.to_owned(),
            lookup,
        })
    }

    /// Returns the place at `path`, which is relative and has no `..`.
    pub fn place(&self, path: impl Into<PathBuf>) -> Place<'_> {
        Place {
            base: self,
            path: path.into(),
        }
    }

    /// Opens the directory itself, to lock or sync it.
    pub fn reopen(&self) -> io::Result<File> {
        self.place("").open_directory()
    }

    /// Opens a new file without a name, for writing.
    pub fn nameless_file(&self) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, ".", flags, owner_only())?;
        Ok(file.into())
    }

    fn open_beneath(&self, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match self.lookup {
            Lookup::Kernel => open_by_kernel(&self.directory, path, flags, mode),
            Lookup::Steps => open_by_steps(&self.directory, path, flags, mode),
        }
    }
}

impl<'b> Place<'b> {
    /// The whole path, for people.
    pub fn path(&self) -> PathBuf {
        self.base.path.join(&self.path)
    }

    /// The directory that has the place's name; `None` of the base itself.
    pub fn parent(&self) -> Option<Self> {
        self.path.parent().map(|parent| self.base.place(parent))
    }

    /// Returns the place in the same directory whose name has this suffix too.
    #[must_use]
    pub fn beside(&self, suffix: &str) -> Self {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".");
        name.push(suffix);
        self.base.place(self.path.with_file_name(name))
    }

    /// The path below the base.
    pub fn relative(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file. Never waits. A file that `flags` create is its owner's only.
    ///
    /// # Errors
    /// `InvalidData` for anything else, and for a link on the way; file system errors.
    pub fn open(&self, flags: OFlags) -> io::Result<File> {
        let mode = if flags.contains(OFlags::CREATE) {
            owner_only()
        } else {
            Mode::empty()
        };
        let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match self.base.open_beneath(&self.path, flags, mode) {
            Ok(file) => File::from(file),
            Err(error @ Errno::NOENT) => return Err(error.into()),
            // links and sockets cannot be opened at all
            Err(error) => {
                let irregularity = match self.metadata() {
                    Ok(found) => regular_file::irregularity(&found),
                    Err(obstacle) => Some(obstacle).filter(is_irregular),
                };
                return Err(irregularity.unwrap_or(error.into()));
            }
        };
        match regular_file::irregularity(&file.metadata()?) {
            Some(error) => Err(error),
            None => Ok(file),
        }
    }

    /// Looks at what is there, which may be a link.
    pub fn metadata(&self) -> io::Result<Metadata> {
        File::from(self.handle(OFlags::PATH)?).metadata()
    }

    /// Returns the numbers of what is here, which may be a link, by which the kernel knows it: of its file system, and in that.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        let found = self.in_parent(|parent, name| {
            rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        })?;
        Ok((found.st_dev, found.st_ino))
    }

    /// Lists the names in this directory.
    pub fn names(&self) -> io::Result<impl Iterator<Item = io::Result<String>> + use<>> {
        let entries = Dir::new(self.open_directory()?)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let is_entry = |name: &io::Result<String>| {
            name.as_ref()
                .map_or(true, |name| name != "." && name != "..")
        };
        Ok(names.filter(is_entry))
    }

    /// Returns the place of that name in this directory.
    pub fn join(&self, name: &str) -> Self {
        self.base.place(self.path.join(name))
    }

    /// Makes the names in this directory durable.
    pub fn sync(&self) -> io::Result<()> {
        self.open_directory()?.sync_all()
    }

    /// Makes a directory for its owner only, unless something is there.
    pub fn make_directory(&self) -> io::Result<()> {
        let mode = Mode::RWXU;
        match self.in_parent(|parent, name| rustix::fs::mkdirat(parent, name, mode)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what is there, which is no directory.
    pub fn remove(&self) -> io::Result<()> {
        self.in_parent(|parent, name| rustix::fs::unlinkat(parent, name, AtFlags::empty()))
    }

    /// Gives the file here a second name.
    pub fn link(&self, to: &Self) -> io::Result<()> {
        self.in_parent(|parent, name| Ok(to.link_from(parent, Path::new(name))))?
    }

    /// Gives a file elsewhere this name too.
    pub fn link_foreign(&self, from: &Path) -> io::Result<()> {
        self.link_from(CWD, from)
    }

    /// Moves what is here.
    pub fn rename(&self, to: &Self) -> io::Result<()> {
        self.in_parent(|from, old| {
            Ok(to.in_parent(|parent, new| rustix::fs::renameat(from, old, parent, new)))
        })?
    }

    fn link_from(&self, directory: impl AsFd, from: &Path) -> io::Result<()> {
        self.in_parent(|parent, name| {
            rustix::fs::linkat(directory, from, parent, name, AtFlags::empty())
        })
    }

    /// Opens the directory here, to lock or sync it.
    pub fn open_directory(&self) -> io::Result<File> {
        Ok(self.handle(OFlags::RDONLY | OFlags::DIRECTORY)?.into())
    }

    fn handle(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let path = match self.path.as_os_str() {
            path if path.is_empty() => Path::new("."),
            _ => &self.path,
        };
        self.base
            .open_beneath(path, flags, Mode::empty())
            .map_err(|error| self.explained(error))
    }

    /// Works on this name in its directory.
    fn in_parent<T>(
        &self,
        work: impl FnOnce(&OwnedFd, &OsStr) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        let (Some(parent), Some(name)) = (self.parent(), self.path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if parent.path.as_os_str().is_empty() {
            return Ok(work(&self.base.directory, name)?);
        }
        Ok(work(
            &parent.handle(OFlags::PATH | OFlags::DIRECTORY)?,
            name,
        )?)
    }

    /// Names what is in the place of a directory on the way, if that is why a lookup failed.
    fn explained(&self, error: Errno) -> io::Error {
        if !matches!(error, Errno::LOOP | Errno::NOTDIR) {
            return error.into();
        }
        let obstacle = self
            .path
            .ancestors()
            .filter(|ancestor| !ancestor.as_os_str().is_empty())
            .filter_map(|ancestor| {
                let found = self
                    .base
                    .open_beneath(ancestor, OFlags::PATH, Mode::empty());
                let found = File::from(found.ok()?).metadata().ok()?;
                regular_file::kind_of_no_directory(&found).map(|kind| (ancestor, kind))
            })
            .last();
        match obstacle {
            Some((ancestor, kind)) => {
                let path = self.base.path.join(ancestor);
                let error = format!("{} is {kind}, and must be a directory", path.display());
                io::Error::new(io::ErrorKind::InvalidData, error)
            }
            None => error.into(),
        }
    }
}

/// True of errors about something that is no regular file, or no directory on the way.
pub fn is_irregular(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

fn owner_only() -> Mode {
    Mode::RUSR | Mode::WUSR
}

/// Adds the path to an error.
fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn open_by_kernel(
    base: impl AsFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(base, path, flags, mode, resolve)
}

fn open_by_steps(
    base: &OwnedFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut reached = None;
    let mut names = path.iter().peekable();
    while let Some(name) = names.next() {
        let directory = reached.as_ref().unwrap_or(base);
        if names.peek().is_none() {
            return rustix::fs::openat(directory, name, flags, mode);
        }
        reached = Some(rustix::fs::openat(directory, name, step, Mode::empty())?);
    }
    Err(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const LOOKUPS: [Lookup; 2] = [Lookup::Kernel, Lookup::Steps];

    /// A base behind a link, with a file in a directory, and links to both elsewhere.
    fn fixture(root: &Path, lookup: Lookup) -> BaseDirectory {
        for (directory, content) in [("elsewhere", "secret"), ("real/plain", "own")] {
            std::fs::create_dir_all(root.join(directory)).unwrap();
            std::fs::write(root.join(directory).join("file"), content).unwrap();
        }
        symlink(root.join("real"), root.join("base")).unwrap();
        symlink(root.join("elsewhere"), root.join("real/linked")).unwrap();
        symlink(root.join("elsewhere/file"), root.join("real/plain/link")).unwrap();
        assert!(BaseDirectory::open(&root.join("base"), Links::Reject).is_err());
        let base = BaseDirectory::open(&root.join("base"), Links::Follow).unwrap();
        BaseDirectory { lookup, ..base }
    }

    #[test]
    fn no_link_below_the_base_is_followed_by_anything() {
        for lookup in LOOKUPS {
            let root = tempfile::tempdir().unwrap();
            let base = fixture(root.path(), lookup);
            let read = |path: &str| base.place(path).open(OFlags::RDONLY);
            assert_eq!(
                io::read_to_string(read("plain/file").unwrap()).unwrap(),
                "own"
            );
            for path in ["linked/file", "plain/link", "linked", "plain"] {
                let error = read(path).unwrap_err();
                assert_eq!(
                    error.kind(),
                    io::ErrorKind::InvalidData,
                    "{lookup:?} {path}"
                );
            }
            let new = base.place("linked/new");
            let create = OFlags::WRONLY | OFlags::CREATE;
            let file = base.place("plain/file");
            let outcomes = [
                new.open(create).map(drop),
                new.make_directory(),
                file.link(&new),
                file.rename(&new),
                new.link_foreign(&root.path().join("real/plain/file")),
                base.place("linked/file").remove(),
                base.place("linked/file").metadata().map(drop),
                base.place("linked").sync(),
            ];
            for (index, outcome) in outcomes.into_iter().enumerate() {
                let error = outcome.unwrap_err().to_string();
                let expected = "base/linked is a symbolic link, and must be a directory";
                assert!(error.contains(expected), "{lookup:?} {index}: {error}");
            }
            assert!(base.place("plain/link").metadata().unwrap().is_symlink());
            let elsewhere = std::fs::read_dir(root.path().join("elsewhere")).unwrap();
            assert_eq!(elsewhere.count(), 1, "{lookup:?}");
        }
    }

    #[test]
    fn files_are_made_named_and_removed() {
        for lookup in LOOKUPS {
            let root = tempfile::tempdir().unwrap();
            let base = fixture(root.path(), lookup);
            let place = |path: &str| base.place(path);
            place("new").make_directory().unwrap();
            place("new").make_directory().unwrap();
            place("file").open(OFlags::WRONLY | OFlags::CREATE).unwrap();
            place("file").link(&place("new/second")).unwrap();
            place("new/second").rename(&place("third")).unwrap();
            place("file").remove().unwrap();
            place("new").sync().unwrap();
            base.reopen().unwrap().sync_all().unwrap();
            let names = place("").names().unwrap();
            let mut names: Vec<_> = names.map(Result::unwrap).collect();
            names.sort();
            assert_eq!(names, ["linked", "new", "plain", "third"], "{lookup:?}");
            let absent = place("none/file").metadata().unwrap_err();
            assert_eq!(absent.kind(), io::ErrorKind::NotFound, "{lookup:?}");
        }
    }
}
