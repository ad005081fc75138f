//! Contents of an image layout, wherever they are.

use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, Error as _};

use super::compression::Compression;
use crate::import::damage::Damage;
use crate::import::error::Error;
use crate::import::files;
use crate::oci::layout::{INDEX_FILE, blob_path};
use crate::oci::{Digest, Outline};
use crate::registry::SourceFile;

/// Maximum size of a document that lists images, in bytes.
pub(super) const DOCUMENT_LIMIT: u64 = 16 << 20;
/// Maximum memory that parsing such a document may take, in bytes. The longest lists of whole images fit.
const DOCUMENT_SPACE: usize = 128 << 20;
/// Maximum size of a manifest or config that is read, in bytes.
pub(super) const MANIFEST_LIMIT: u64 = 4 << 20;

/// Contents of an image layout.
pub(in crate::import) trait Contents {
    /// Reads a document that lists images; `None` if there is none of that name.
    fn document(&self, name: &str) -> Result<Option<Vec<u8>>, Error>;

    /// Reads a manifest.
    fn manifest(&self, digest: &Digest) -> Result<Result<Vec<u8>, Damage>, Error>;

    /// Finds a blob; `None` if it is not there.
    fn blob(&self, digest: &Digest) -> Result<Option<Found>, Error>;

    /// Finds a file by the name that a docker archive gives it.
    fn named(&self, name: &str) -> Option<NamedFile>;

    /// Path of some content, to name it in a report; of all of it without a name.
    fn path(&self, name: &str) -> PathBuf;
}

/// Parses a document that lists images.
///
/// # Errors
/// [`Error::List`], also for one of so many parts that it would take much more memory than its size.
pub(super) fn parse_list<T: DeserializeOwned>(document: &[u8], path: &Path) -> Result<T, Error> {
    let parsed = if Outline::of(document).memory > DOCUMENT_SPACE {
        Err(serde_json::Error::custom("it has too many parts"))
    } else {
        serde_json::from_slice(document)
    };
    parsed.map_err(Error::list(path))
}

/// A blob of a layout.
pub(in crate::import) enum Found {
    File(SourceFile),
    /// It is stored here already.
    Stored {
        /// In bytes.
        size: u64,
        /// True if it came through this stream.
        is_new: bool,
    },
}

/// A file of an archive whose name is no digest.
#[derive(Clone, Debug)]
pub(in crate::import) struct NamedFile {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    pub compression: Compression,
}

/// An image layout in a directory.
pub(in crate::import) struct LayoutDirectory(pub PathBuf);

impl LayoutDirectory {
    fn source(&self, digest: &Digest) -> Result<Result<SourceFile, Damage>, Error> {
        let path = self.0.join(blob_path(digest));
        Ok(match SourceFile::at(path.clone()) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(Damage::MissingBlob(digest.clone())),
            Err(error) => Err(files::damage(&path, error)?),
        })
    }
}

impl Contents for LayoutDirectory {
    fn document(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        files::read(&self.0.join(name), DOCUMENT_LIMIT)
    }

    fn manifest(&self, digest: &Digest) -> Result<Result<Vec<u8>, Damage>, Error> {
        let size = match self.source(digest)? {
            Ok(file) => file.size,
            Err(damage) => return Ok(Err(damage)),
        };
        if size > MANIFEST_LIMIT {
            return Ok(Err(Damage::LargeManifest(size)));
        }
        let path = self.0.join(blob_path(digest));
        Ok(match files::read(&path, MANIFEST_LIMIT) {
            Err(Error::Unreadable { cause, .. }) => Err(files::damage(&path, cause)?),
            read => read?.ok_or_else(|| Damage::MissingBlob(digest.clone())),
        })
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Found>, Error> {
        Ok(self.source(digest)?.ok().map(Found::File))
    }

    fn named(&self, _: &str) -> Option<NamedFile> {
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            self.0.clone()
        } else {
            self.0.join(name)
        }
    }
}

/// True if a directory holds an image layout.
pub(in crate::import) fn is_layout(directory: &Path) -> bool {
    directory.join(INDEX_FILE).is_file()
}
