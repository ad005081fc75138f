//! The sources of an import, told apart by what is there.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};

use crate::import::archive::is_layout;
use crate::import::distribution::store::DistributionStore;
use crate::import::error::Error;
use crate::import::remote::RemoteRegistry;

/// A source of images.
pub enum Source {
    /// A store of `registry:2`.
    Distribution(DistributionStore),
    /// An image layout in a directory.
    Layout(PathBuf),
    /// A registry that is running.
    Remote(RemoteRegistry),
    /// An image layout, or images saved by docker or podman, in an archive.
    Archive {
        path: PathBuf,
        input: Box<dyn Read + Send>,
    },
}

impl Source {
    /// Opens a directory, an archive, or standard input for `-`.
    ///
    /// # Errors
    /// [`Error::NoSource`] and [`Error::Unreadable`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path == Path::new("-") {
            return Ok(Self::Archive {
                path: "standard input".into(),
                input: Box::new(stdin()),
            });
        }
        if !path.is_dir() {
            return Ok(Self::Archive {
                path: path.to_owned(),
                input: Box::new(File::open(path).map_err(Error::unreadable(path))?),
            });
        }
        if let Some(store) = DistributionStore::at(path) {
            return Ok(Self::Distribution(store));
        }
        if is_layout(path) {
            return Ok(Self::Layout(path.to_owned()));
        }
        Err(Error::NoSource(path.to_owned()))
    }
}
