//! Places to which an export is written.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::export::error::Error;
use crate::files::resolved::is_inside;

/// Endings of compressed archives.
const COMPRESSED: [&str; 7] = [".gz", ".tgz", ".zst", ".xz", ".bz2", ".zip", ".lz4"];

/// Destination of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output, as an archive.
    StandardOutput,
    Archive(PathBuf),
    Directory(PathBuf),
}

impl Destination {
    /// Parses a destination: `-`, a name that ends in `.tar`, or a directory.
    ///
    /// # Errors
    /// It is a file or a place in which nothing can be written, or asks for compression.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let path = PathBuf::from(text);
        if text == "-" {
            return Ok(Self::StandardOutput);
        }
        if path.file_name().is_none() {
            return Err(Error::destination(
                &path,
                "name a new directory, a file that ends in .tar, or - for standard output",
            ));
        }
        let name = text.trim_end_matches('/');
        if name != text
            && COMPRESSED
                .iter()
                .chain(&[".tar"])
                .any(|ending| name.ends_with(ending))
        {
            return Err(Error::destination(
                &path,
                "it names an archive by its ending and a directory by its /: leave one of them out",
            ));
        }
        if COMPRESSED.iter().any(|ending| text.ends_with(ending)) {
            return Err(Error::destination(
                &path,
                "layers are compressed already, and archives are not; for more: registry export … - | zstd",
            ));
        }
        if text.ends_with(".tar") {
            if path.is_dir() {
                return Err(Error::destination(&path, "it is a directory"));
            }
            return Ok(Self::Archive(path));
        }
        if path.exists() && !path.is_dir() {
            return Err(Error::destination(
                &path,
                "it is a file: name a directory, or a file that ends in .tar",
            ));
        }
        Ok(Self::Directory(path))
    }

    /// Fails if it lies inside of the data directory.
    ///
    /// # Errors
    /// [`Error::Destination`].
    pub fn check_outside(&self, data: &Path) -> Result<(), Error> {
        match self.path().filter(|path| is_inside(path, data)) {
            None => Ok(()),
            Some(path) => Err(Error::destination(
                path,
                "it lies inside of the data directory: name a place elsewhere",
            )),
        }
    }

    /// Returns its path, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::StandardOutput => None,
            Self::Archive(path) | Self::Directory(path) => Some(path),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => path.display().fmt(f),
            None => f.write_str("standard output"),
        }
    }
}
