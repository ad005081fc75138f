//! An archive that is read as it arrives: its contents are stored here before it is known what they are.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use super::compression::{Compression, decompressed};
use super::contents::{Contents, DOCUMENT_LIMIT, Found, MANIFEST_LIMIT, NamedFile};
use super::spool::Spool;
use super::tar::{Entry, EntryKind, TarReader};
use crate::import::damage::Damage;
use crate::import::error::Error;
use crate::import::receiver::Receiver;
use crate::oci::layout::{DOCKER_FILE, INDEX_FILE, digest_at};
use crate::oci::{Algorithm, Digest};

/// Maximum length of a name that is remembered, in bytes; images have shorter ones.
const MAX_NAME: usize = 256;
/// Maximum number of links that lead to a file.
const MAX_LINKS: usize = 10;
/// Number of bytes that are read of an entry for which the disk has no room, to see whether it is cut off.
const LOOKED_AT: u64 = 1 << 30;
/// Number of first bytes that tell how a file is compressed.
const PREFIX: u64 = 6;

/// An archive that was read.
pub(in crate::import) struct Spooled<'s> {
    path: PathBuf,
    spool: &'s dyn Spool,
    documents: HashMap<String, Vec<u8>>,
    /// Files of a docker archive.
    files: HashMap<String, NamedFile>,
    links: HashMap<String, String>,
    blobs: HashMap<Digest, Content>,
}

struct Content {
    size: u64,
    is_new: bool,
}

impl<'s> Spooled<'s> {
    /// Reads an archive to its end.
    ///
    /// # Errors
    /// [`Error::Archive`] for what is no archive, is cut off, or exceeds a bound; errors of this registry.
    pub fn read(
        path: &Path,
        input: Box<dyn Read + Send>,
        spool: &'s dyn Spool,
        receiver: &dyn Receiver,
    ) -> Result<Self, Error> {
        let mut spooled = Self {
            path: path.to_owned(),
            spool,
            documents: HashMap::new(),
            files: HashMap::new(),
            links: HashMap::new(),
            blobs: HashMap::new(),
        };
        let mut archive = TarReader::new(decompressed(input).map_err(Error::archive(path))?);
        while let Some(entry) = archive.next().map_err(Error::archive(path))? {
            spooled.take(entry, &mut archive, receiver)?;
        }
        Ok(spooled)
    }

    fn take(
        &mut self,
        entry: Entry,
        content: &mut impl Read,
        receiver: &dyn Receiver,
    ) -> Result<(), Error> {
        let Entry { name, size, kind } = entry;
        match kind {
            EntryKind::File if name == INDEX_FILE || name == DOCKER_FILE => {
                self.document(name, size, content)
            }
            EntryKind::File => match digest_at(&name) {
                Some(digest) => {
                    let file = self.store(digest.algorithm(), Some(&digest), size, content)?;
                    if file.digest != digest {
                        receiver.report(&self.path(&name), Damage::AlteredBlob(digest));
                        return Ok(());
                    }
                    receiver.count_returned(&digest, size);
                    self.files.insert(name, file);
                    Ok(())
                }
                None if is_of_docker(&name) => {
                    let file = self.store(Algorithm::Sha256, None, size, content)?;
                    receiver.count_returned(&file.digest, size);
                    self.files.insert(name, file);
                    Ok(())
                }
                None => Ok(()),
            },
            EntryKind::Symlink(target) if name.len() + target.len() <= MAX_NAME => {
                if let Some(target) = joined(&name, &target) {
                    self.links.insert(name, target);
                }
                Ok(())
            }
            EntryKind::Hardlink(target) if name.len() + target.len() <= MAX_NAME => {
                let target = target.strip_prefix("./").unwrap_or(&target).to_owned();
                self.links.insert(name, target);
                Ok(())
            }
            EntryKind::Symlink(_) | EntryKind::Hardlink(_) | EntryKind::Other => Ok(()),
        }
    }

    fn document(&mut self, name: String, size: u64, content: &mut impl Read) -> Result<(), Error> {
        if size > DOCUMENT_LIMIT {
            let large = format!("{name} has {size} bytes, more than is read");
            return Err(Error::archive(&self.path)(std::io::Error::other(large)));
        }
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(Error::archive(&self.path))?;
        self.documents.insert(name, bytes);
        Ok(())
    }

    /// Stores the content of an entry, unless it is here already.
    fn store(
        &mut self,
        algorithm: Algorithm,
        expected: Option<&Digest>,
        size: u64,
        content: &mut impl Read,
    ) -> Result<NamedFile, Error> {
        let mut prefix = Vec::new();
        content
            .by_ref()
            .take(PREFIX)
            .read_to_end(&mut prefix)
            .map_err(Error::archive(&self.path))?;
        let compression = Compression::of(&prefix);
        let kept = match expected {
            Some(digest) => self.spool.keep(digest)?,
            None => None,
        };
        let (digest, is_new) = match (kept, expected) {
            (Some(kept), Some(digest)) if kept == size => (digest.clone(), false),
            _ => {
                let mut whole = Cursor::new(prefix).chain(&mut *content);
                let stored = self.spool.store(algorithm, size, &mut whole);
                let stored = stored.map_err(|error| error.of_archive(&self.path));
                if matches!(&stored, Err(error) if error.is_full()) {
                    // a header may state more than there is, which is no matter of the disk
                    let mut rest = content.by_ref().take(LOOKED_AT);
                    std::io::copy(&mut rest, &mut std::io::sink())
                        .map_err(Error::archive(&self.path))?;
                }
                (stored?, true)
            }
        };
        let content = Content { size, is_new };
        self.blobs.entry(digest.clone()).or_insert(content);
        Ok(NamedFile {
            digest,
            size,
            compression,
        })
    }
}

impl Contents for Spooled<'_> {
    fn document(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.documents.get(name).cloned())
    }

    fn manifest(&self, digest: &Digest) -> Result<Result<Vec<u8>, Damage>, Error> {
        let missing = || Damage::MissingBlob(digest.clone());
        match self.blobs.get(digest) {
            None => Ok(Err(missing())),
            Some(content) if content.size > MANIFEST_LIMIT => {
                Ok(Err(Damage::LargeManifest(content.size)))
            }
            Some(_) => {
                let read = self.spool.read(digest, MANIFEST_LIMIT)?;
                Ok(read.ok_or_else(missing))
            }
        }
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Found>, Error> {
        Ok(self.blobs.get(digest).map(|content| Found::Stored {
            size: content.size,
            is_new: content.is_new,
        }))
    }

    fn named(&self, name: &str) -> Option<NamedFile> {
        let mut name = name.strip_prefix("./").unwrap_or(name);
        for _ in 0..MAX_LINKS {
            if let Some(file) = self.files.get(name) {
                return Some(file.clone());
            }
            name = self.links.get(name)?;
        }
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            self.path.clone()
        } else {
            self.path.join(name)
        }
    }
}

/// True for the names that configs and layers have in docker archives of any tool.
fn is_of_docker(name: &str) -> bool {
    let is_content = [".json", ".tar", ".tar.gz"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
        || name.starts_with("sha256:");
    is_content && name.len() <= MAX_NAME && name.split('/').count() <= 2
}

/// Returns the path to which a symbolic link leads; `None` if it leaves the archive.
fn joined(name: &str, target: &str) -> Option<String> {
    let mut path: Vec<&str> = name.split('/').collect();
    path.pop();
    if target.starts_with('/') {
        return None;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(path.pop()?),
            part => path.push(part),
        }
    }
    Some(path.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_the_archive() {
        for (name, target, path) in [
            ("a/layer.tar", "../b/layer.tar", Some("b/layer.tar")),
            ("a/layer.tar", "./x", Some("a/x")),
            ("a", "b", Some("b")),
            ("a/b", "../../etc/passwd", None),
            ("a/b", "/etc/passwd", None),
        ] {
            assert_eq!(joined(name, target).as_deref(), path, "{name} {target}");
        }
    }
}
