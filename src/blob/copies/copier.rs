//! The making of copies: linked, cloned or copied, and durable before they have their names.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::duplicate;
use super::owner::Owner;
use super::unnamed::{self, Unnamed};
use super::vouched::Vouched;
use crate::blob::hasher::Hasher;
use crate::blob::store::BlobStore;
use crate::oci::{Algorithm, Digest};
use crate::sys;
use crate::telemetry::Counter;

/// Bytes copied between two requests to the kernel to start writing them to disk.
const STEP: usize = 1 << 20;

/// Copies blobs from one store to another.
pub struct BlobCopier {
    pub(super) from: Arc<BlobStore>,
    pub(super) to: BlobStore,
    /// An earlier copy on the file system of `to`, whose files are linked.
    pub(super) earlier: Option<BlobStore>,
    can_link: bool,
    can_clone: bool,
    owner: Owner,
    unnamed: Unnamed,
    counts: CopyCounts,
    pace: CopyPace,
    pub(super) progress: Arc<Counter>,
}

/// Share of the disk's time that copying takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyPace {
    Full,
    /// As long as each piece took, others have the disk to themselves.
    Half,
}

/// Numbers of blobs that a copier has brought to its store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyCounts {
    pub copied: u64,
    /// In bytes.
    pub copied_size: u64,
    /// Those that share the disk space of the blobs that they are copies of.
    pub shared: u64,
}

/// Reason why a blob could not be copied: something is wrong with the one that there is.
#[derive(Debug, thiserror::Error)]
pub enum Loss {
    #[error("its file is missing, or has another length")]
    Missing,
    #[error("its file has digest {0}")]
    Altered(Digest),
    #[error("its file cannot be read: {0}")]
    Unreadable(io::Error),
}

/// Failure of a copy.
enum Failure {
    Lost(Loss),
    Files(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Files(error)
    }
}

impl BlobCopier {
    /// A copier to the store at `to`, for which [`BlobStore::prepare`] was called. `progress` counts bytes.
    pub fn new(
        from: Arc<BlobStore>,
        to: &Path,
        earlier: Option<&Path>,
        pace: CopyPace,
        progress: Arc<Counter>,
    ) -> io::Result<Self> {
        Ok(Self {
            owner: Owner::of(from.root())?,
            from,
            to: BlobStore::copied_to(to),
            earlier: earlier.map(BlobStore::copied_to),
            can_link: true,
            can_clone: true,
            unnamed: Unnamed::default(),
            counts: CopyCounts::default(),
            pace,
            progress,
        })
    }

    pub fn counts(&self) -> CopyCounts {
        self.counts
    }

    /// The store that blobs are copied to.
    pub fn to(&self) -> &BlobStore {
        &self.to
    }

    /// True if the blob has to be read, here or in the store that is copied.
    pub fn is_needed(&self, digest: &Digest, size: u64, vouched: Vouched) -> bool {
        let earlier = self.earlier.as_ref();
        let is_linked =
            vouched.in_earlier && earlier.is_some_and(|store| store.has_blob(digest, size));
        !is_linked && !self.is_certain(digest, size, vouched)
    }

    /// Copies a blob, unless it is there already. Blocks.
    ///
    /// A file of an earlier copy that nothing vouches for is compared with the digest, and replaced if it has another one.
    ///
    /// # Errors
    /// Those of the file system that is written to.
    pub fn copy(
        &mut self,
        digest: &Digest,
        size: u64,
        vouched: Vouched,
    ) -> io::Result<Result<(), Loss>> {
        match self.try_copy(digest, size, vouched) {
            Ok(()) => Ok(Ok(())),
            Err(Failure::Lost(loss)) => Ok(Err(loss)),
            Err(Failure::Files(error)) => Err(error),
        }
    }

    fn try_copy(&mut self, digest: &Digest, size: u64, vouched: Vouched) -> Result<(), Failure> {
        let is_there = self.is_certain(digest, size, vouched)
            || (self.to.has_blob(digest, size) && self.is_sound(&self.to, digest));
        if is_there {
            return Ok(());
        }
        if let Some(earlier) = &self.earlier
            && earlier.has_blob(digest, size)
            && (vouched.in_earlier || self.is_sound(earlier, digest))
            && self.link(earlier, digest)?
        {
            return Ok(());
        }
        match self.from.is_whole(digest, size) {
            Ok(true) => {}
            Ok(false) => return Err(Failure::Lost(Loss::Missing)),
            Err(error) => return Err(lost(error)),
        }
        if self.can_link {
            match self.link(&self.from, digest) {
                Ok(true) => {
                    self.counts.shared += 1;
                    self.progress.add(size);
                    return Ok(());
                }
                Ok(false) => self.can_link = false,
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(lost(error)),
                Err(error) => return Err(error.into()),
            }
        }
        self.write(digest, size)
    }

    /// Gives the blob's file in another store its name in the copy too; false if the file systems do not allow that.
    pub(super) fn link(&self, from: &BlobStore, digest: &Digest) -> io::Result<bool> {
        let (source, place) = (from.blob(digest)?, self.to.blob(digest)?);
        duplicate::linked(self.to.replace(&place, || source.link(&place)))
    }

    /// Makes a file of its own for the blob.
    fn write(&mut self, digest: &Digest, size: u64) -> Result<(), Failure> {
        let source = self.from.open_file(digest).map_err(lost)?;
        let file = unnamed::create(&self.to, digest)?;
        if let Err(failure) = self.fill(&file, &source, digest, size) {
            unnamed::remove(&self.to, digest);
            return Err(failure);
        }
        self.unnamed.add(file, digest, size);
        if self.unnamed.are_many() {
            self.settle()?;
        }
        Ok(())
    }

    fn fill(
        &mut self,
        file: &File,
        source: &File,
        digest: &Digest,
        size: u64,
    ) -> Result<(), Failure> {
        self.owner.give_file(file);
        if self.can_clone {
            if duplicate::reflink(source, file)? {
                self.counts.shared += 1;
                self.progress.add(size);
                return Ok(());
            }
            self.can_clone = false;
        }
        let found = self.copy_bytes(source, file, digest.algorithm())?;
        if found != *digest {
            return Err(Failure::Lost(Loss::Altered(found)));
        }
        self.counts.copied += 1;
        self.counts.copied_size += size;
        Ok(())
    }

    /// Copies the bytes of a file and returns their digest.
    fn copy_bytes(
        &self,
        source: &File,
        file: &File,
        algorithm: Algorithm,
    ) -> Result<Digest, Failure> {
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; STEP];
        let mut offset = 0;
        loop {
            let begun = Instant::now();
            let read = match source.read_at(&mut buffer, offset) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(lost(error)),
            };
            file.write_all_at(&buffer[..read], offset)?;
            hasher.update(&buffer[..read]);
            sys::start_write_back(file, offset, read as u64);
            offset += read as u64;
            self.progress.add(read as u64);
            self.rest(begun);
        }
    }

    /// Leaves the disk to others, for as long as the piece begun then took.
    pub(super) fn rest(&self, begun: Instant) {
        if self.pace == CopyPace::Half {
            std::thread::sleep(begun.elapsed());
        }
    }

    /// Makes complete copies durable, and then gives them their names. Blocks.
    pub fn settle(&mut self) -> io::Result<()> {
        self.unnamed.settle(&self.to)
    }

    /// Gives the directories of the copy, and these files in it, the owner of the data directory. Blocks.
    ///
    /// # Errors
    /// Those of the file system, and a link or a second name in the place of one of them.
    pub fn give(&self, files: &[&Path]) -> io::Result<()> {
        self.owner.give(&self.to, files)
    }
}

impl Drop for BlobCopier {
    fn drop(&mut self) {
        self.unnamed.abandon(&self.to);
    }
}

fn lost(error: io::Error) -> Failure {
    Failure::Lost(match error.kind() {
        ErrorKind::NotFound => Loss::Missing,
        _ => Loss::Unreadable(error),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const NEW: Vouched = Vouched {
        in_copy: false,
        in_earlier: false,
    };

    fn stored(store: &BlobStore, content: &[u8]) -> Digest {
        store.prepare().unwrap();
        let digest = Hasher::digest(Algorithm::Sha256, content);
        let path = store.blob(&digest).unwrap().path();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        digest
    }

    fn copier(from: &Path, to: &Path) -> BlobCopier {
        BlobStore::new(to).prepare().unwrap();
        let from = Arc::new(BlobStore::new(from));
        let mut copier = BlobCopier::new(from, to, None, CopyPace::Full, Arc::default()).unwrap();
        (copier.can_link, copier.can_clone) = (false, false);
        copier
    }

    #[test]
    fn a_copy_has_its_name_once_it_is_durable_and_is_what_its_digest_says() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        for path in [&from, &to] {
            fs::create_dir(path).unwrap();
        }
        let source = BlobStore::new(&from);
        source.prepare().unwrap();
        let (sound, altered) = (stored(&source, b"sound"), stored(&source, b"right"));
        fs::write(source.blob(&altered).unwrap().path(), "wrong").unwrap();

        let mut copier = copier(&from, &to);
        copier.copy(&sound, 5, NEW).unwrap().unwrap();
        assert!(!copier.to().has_blob(&sound, 5));
        assert!(matches!(
            copier.copy(&altered, 5, NEW).unwrap(),
            Err(Loss::Altered(_))
        ));
        let absent = Hasher::digest(Algorithm::Sha256, b"absent");
        assert!(matches!(
            copier.copy(&absent, 6, NEW).unwrap(),
            Err(Loss::Missing)
        ));
        copier.settle().unwrap();
        let vouched = Vouched {
            in_copy: true,
            ..NEW
        };
        assert!(!copier.is_needed(&sound, 5, vouched) && copier.is_needed(&sound, 5, NEW));
        assert!(copier.to().has_blob(&sound, 5));
        assert!(!copier.to().has_blob(&altered, 5));
        let mode = fs::metadata(copier.to().blob(&sound).unwrap().path())
            .unwrap()
            .mode();
        assert_eq!(mode & 0o777, 0o400);
        let (copied, copied_size) = (1, 5);
        assert_eq!(
            copier.counts(),
            CopyCounts {
                copied,
                copied_size,
                shared: 0
            }
        );
    }

    #[test]
    fn a_file_that_is_there_is_trusted_only_if_it_is_vouched_for_and_kept_if_it_is_all_there_is() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        for path in [&from, &to] {
            fs::create_dir(path).unwrap();
        }
        let source = BlobStore::new(&from);
        let digest = stored(&source, b"right");
        let mut copier = copier(&from, &to);
        stored(copier.to(), b"right");
        let copy = copier.to().blob(&digest).unwrap().path();
        fs::write(&copy, b"wrong").unwrap();
        let vouched = Vouched {
            in_copy: true,
            ..NEW
        };
        copier.copy(&digest, 5, vouched).unwrap().unwrap();
        assert_eq!(fs::read(&copy).unwrap(), b"wrong");
        assert!(!copier.keep(&digest).unwrap());
        copier.copy(&digest, 5, NEW).unwrap().unwrap();
        copier.settle().unwrap();
        assert_eq!(fs::read(&copy).unwrap(), b"right");
        assert_eq!(copier.counts().copied, 1);
        source.blob(&digest).unwrap().remove().unwrap();
        copier.copy(&digest, 5, NEW).unwrap().unwrap();
        assert!(copier.keep(&digest).unwrap());
        assert_eq!(copier.counts().copied, 1);
    }

    #[test]
    fn an_unfinished_copy_leaves_nothing_and_what_is_not_listed_is_pruned() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        for path in [&from, &to] {
            fs::create_dir(path).unwrap();
        }
        let source = BlobStore::new(&from);
        let (one, two) = (stored(&source, b"one"), stored(&source, b"two"));
        let mut first = copier(&from, &to);
        first.copy(&one, 3, NEW).unwrap().unwrap();
        let shard = first.to().blob(&one).unwrap().parent().unwrap().path();
        assert_eq!(shard.read_dir().unwrap().count(), 1);
        drop(first);
        assert_eq!(shard.read_dir().unwrap().count(), 0);

        let mut second = copier(&from, &to);
        for digest in [&one, &two] {
            second.copy(digest, 3, NEW).unwrap().unwrap();
        }
        second.settle().unwrap();
        fs::write(shard.join("litter.partial"), "").unwrap();
        second.to().prune(&mut |digest| Ok(*digest == one)).unwrap();
        assert!(second.to().has_blob(&one, 3) && !second.to().has_blob(&two, 3));
        assert_eq!(shard.read_dir().unwrap().count(), 1);
    }
}
