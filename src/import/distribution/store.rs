//! The store as a whole: its repositories, and the files of its blobs.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::files::regular_file::{self, Links};
use crate::import::damage::Damage;
use crate::import::distribution::link::{EntryKind, entries, unexpected};
use crate::import::distribution::repository::StoredRepository;
use crate::import::error::Error;
use crate::import::files;
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::registry::SourceFile;

/// Place of the store, relative to the root directory of `registry:2`.
const PLACE: &str = "docker/registry/v2";
/// Directory of the blobs, in the store.
const BLOBS: &str = "blobs";
/// Maximum size of a manifest, in bytes: that of distribution.
const MANIFEST_LIMIT: u64 = 4 << 20;

/// A store of `registry:2`.
#[derive(Clone, Debug)]
pub struct DistributionStore {
    root: PathBuf,
}

impl DistributionStore {
    /// Finds the store of a `registry:2` with that root directory.
    pub fn find(directory: &Path) -> Option<Self> {
        let root = directory.join(PLACE);
        root.is_dir().then_some(Self { root })
    }

    /// Finds the store of which `path` is the root directory or `docker/registry/v2` itself.
    pub(in crate::import) fn at(path: &Path) -> Option<Self> {
        if path.join("repositories").is_dir() {
            return Some(Self {
                root: path.to_owned(),
            });
        }
        Self::find(path)
    }

    /// Directory of the store.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Place of the store of a `registry:2` with that root directory, whether it is there or not.
    pub fn path_in(directory: &Path) -> PathBuf {
        directory.join(PLACE)
    }

    /// Lists the repositories, by name.
    pub(in crate::import) fn repositories(
        &self,
        report: &mut dyn FnMut(&Path, Damage),
    ) -> Result<Vec<StoredRepository>, Error> {
        let mut found = Vec::new();
        let root = self.root.join("repositories");
        match std::fs::read_dir(&root) {
            // else a store that cannot be read would be taken for an empty one
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::unreadable(&root)(error));
            }
            _ => {}
        }
        let mut open = vec![(String::new(), root)];
        while let Some((prefix, directory)) = open.pop() {
            let mut has_content = false;
            let mut below = Vec::new();
            for entry in entries(&directory, report)? {
                match (entry.name.as_str(), entry.kind) {
                    ("_manifests" | "_layers", EntryKind::Directory) => has_content = true,
                    ("_uploads", EntryKind::Directory) => {}
                    (_, EntryKind::Symlink) => report(&entry.path, Damage::Symlink),
                    (name, EntryKind::Directory) if !name.starts_with('_') => {
                        let separator = if prefix.is_empty() { "" } else { "/" };
                        below.push((format!("{prefix}{separator}{name}"), entry.path));
                    }
                    _ => report(&entry.path, Damage::Foreign),
                }
            }
            // from a stack, the last comes first
            open.extend(below.into_iter().rev());
            if !has_content {
                continue;
            }
            match RepositoryName::parse(&prefix) {
                Ok(name) => found.push(StoredRepository { name, directory }),
                Err(error) => report(&directory, Damage::Name(error.to_string())),
            }
        }
        Ok(found)
    }

    /// Reports what lies beside the repositories and blobs, or in the place of a blob's directory. No blob's directory is opened.
    pub(in crate::import) fn foreign(
        &self,
        report: &mut dyn FnMut(&Path, Damage),
    ) -> Result<(), Error> {
        let is_hex = |name: &str, length: usize| {
            name.len() == length && name.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if let Some(above) = self.root.parent().filter(|_| self.root.ends_with(PLACE)) {
            unexpected(above, report, &|name| name == "v2")?;
        }
        unexpected(&self.root, report, &|name| {
            [BLOBS, "repositories"].contains(&name)
        })?;
        let blobs = self.root.join(BLOBS);
        unexpected(&blobs, report, &|name| Algorithm::parse(name).is_ok())?;
        for algorithm in Algorithm::ALL {
            let directory = blobs.join(algorithm.as_str());
            unexpected(&directory, report, &|name| is_hex(name, 2))?;
            // what is wrong with these is reported when they are asked for
            for shard in entries(&directory, &mut |_, _| {})? {
                if shard.kind == EntryKind::Directory && is_hex(&shard.name, 2) {
                    unexpected(&shard.path, report, &|name| {
                        name.starts_with(&shard.name)
                            && Digest::parse(&format!("{}:{name}", algorithm.as_str())).is_ok()
                    })?;
                }
            }
        }
        Ok(())
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
        self.root
            .join(format!("{BLOBS}/{algorithm}/{}/{hex}/data", &hex[..2]))
    }

    /// Finds the file of a blob.
    pub(in crate::import) fn blob(
        &self,
        digest: &Digest,
    ) -> Result<Result<SourceFile, Damage>, Error> {
        let path = self.blob_path(digest);
        Ok(match SourceFile::at(path.clone()) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(Damage::MissingBlob(digest.clone())),
            Err(error) => Err(files::damage(&path, error)?),
        })
    }

    /// Reads a manifest.
    pub(in crate::import) fn manifest(
        &self,
        digest: &Digest,
    ) -> Result<Result<Vec<u8>, Damage>, Error> {
        let size = match self.blob(digest)? {
            Ok(file) => file.size,
            Err(damage) => return Ok(Err(damage)),
        };
        if size > MANIFEST_LIMIT {
            return Ok(Err(Damage::LargeManifest(size)));
        }
        let path = self.blob_path(digest);
        let mut bytes = Vec::new();
        let read = regular_file::open(&path, File::options().read(true), Links::Reject)
            .and_then(|file| file.take(size).read_to_end(&mut bytes));
        Ok(match read {
            Ok(0) => Err(Damage::EmptyManifest),
            Ok(_) => Ok(bytes),
            Err(error) => Err(files::damage(&path, error)?),
        })
    }
}
