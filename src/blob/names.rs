//! The names of blobs' files: given inside transactions, made durable before commits, and removed by collection.

use std::io;
use std::path::PathBuf;

use rustix::fs::OFlags;

use super::naming::HardLinks;
use super::stats::Operation;
use super::store::{BlobStore, KeptOpen, is_unreadable};
use super::upload::{UploadFile, UploadId};
use crate::files::base_directory::{Place, is_irregular};
use crate::oci::Digest;

/// Name in `blobs/` of the link that is made to see whether one can be made.
const TRIAL_LINK: &str = "trial-link";

impl BlobStore {
    /// Gives a complete, synced upload the name of its blob in addition to its own, or, without hard links, instead of it.
    ///
    /// Call it only inside the write transaction that inserts the blob's row. A file that already has that name has no
    /// row, so a failed commit left it: it is replaced.
    pub fn publish(&self, id: &UploadId, file: &UploadFile, digest: &Digest) -> io::Result<()> {
        let (from, to) = (self.upload(id)?, self.blob(digest)?);
        // the lock should have kept others from the name: check it before bytes get a digest's name
        if !file.is_at(&from) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the upload's file was replaced while it was locked",
            ));
        }
        let hard_links = self.hard_links()?;
        let named = match hard_links {
            HardLinks::Impossible => self.publish_by_rename(id, file, digest),
            HardLinks::Possible | HardLinks::OtherDisk => self.replace(&to, || from.link(&to)),
        };
        self.names.lock().has_moved_uploads |= hard_links == HardLinks::Impossible;
        // a name that was not given is waited for by no change
        named.map(|()| self.expect_sync(&to)).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", to.path().display()))
        })
    }

    /// Has [`Self::sync_published`] make a new name durable.
    pub(super) fn expect_sync(&self, place: &Place<'_>) {
        let Some((parent, shard)) = place
            .parent()
            .and_then(|shard| Some((shard.parent()?, shard)))
        else {
            return;
        };
        let mut names = self.names.lock();
        let (parent, shard) = (parent.relative(), shard.relative());
        names.unsynced.insert(shard.to_owned());
        if !names.durable_shards.contains(shard) {
            names.unsynced.insert(parent.to_owned());
        }
    }

    /// Gives a file the name of a blob, by `give`, in a directory that may have to be made.
    pub(super) fn name(
        &self,
        place: &Place<'_>,
        give: impl Fn() -> io::Result<()>,
    ) -> io::Result<()> {
        let named = self.timed(Operation::Move, &give);
        match (named, place.parent()) {
            (Err(error), Some(shard)) if error.kind() == io::ErrorKind::NotFound => {
                shard.make_directory()?;
                self.names.lock().durable_shards.remove(shard.relative());
                give()
            }
            (named, _) => named,
        }
    }

    /// Like [`Self::name`], whatever is in the blob's place.
    ///
    /// A file there is removed. A directory, or something in the place of the shard, is nothing of ours: it is moved aside.
    pub(super) fn replace(
        &self,
        place: &Place<'_>,
        give: impl Fn() -> io::Result<()>,
    ) -> io::Result<()> {
        match self.name(place, &give) {
            Err(error) if is_irregular(&error) || error.kind() == io::ErrorKind::AlreadyExists => {
                clear(place)?;
                self.name(place, give)
            }
            named => named,
        }
    }

    pub(super) fn remove(&self, place: &Place<'_>) -> io::Result<()> {
        match self.timed(Operation::Delete, || place.remove()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Finds out whether files can get second names; if not, [`Self::publish`] moves them.
    pub fn hard_links(&self) -> io::Result<HardLinks> {
        if let Some(known) = self.hard_links.get() {
            return Ok(*known);
        }
        // a full disk tells nothing of links
        Ok(match self.try_link()? {
            Some(found) => *self.hard_links.get_or_init(|| found),
            None => HardLinks::Possible,
        })
    }

    /// Makes and removes a link; `None` if that failed for a reason that says nothing of others.
    fn try_link(&self) -> io::Result<Option<HardLinks>> {
        // a start clears what a crash leaves under the first name, and this function what it leaves under the second
        let (from, to) = (
            self.upload(&UploadId::random())?,
            self.blobs()?.place(TRIAL_LINK),
        );
        let Ok(Some(_file)) = UploadFile::open(&from, &self.traffic) else {
            return Ok(None);
        };
        self.remove(&to)?;
        let linked = from.link(&to);
        self.remove(&to)?;
        self.remove(&from)?;
        Ok(match linked.map_err(|error| error.kind()) {
            Ok(()) => Some(HardLinks::Possible),
            Err(io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
                Some(HardLinks::Impossible)
            }
            Err(io::ErrorKind::CrossesDevices) => Some(HardLinks::OtherDisk),
            Err(_) => None,
        })
    }

    /// Makes every name given by [`Self::publish`] durable, with one sync per directory.
    pub fn sync_published(&self) -> io::Result<()> {
        let mut names = self.names.lock();
        let blobs = self.blobs()?;
        let mut directories = names.unsynced.iter();
        let failed = directories
            .find_map(|directory| Some((directory.clone(), blobs.place(directory).sync().err()?)));
        if let Some((directory, error)) = failed {
            // with a directory that is gone only this commit fails, not every later one
            if error.kind() == io::ErrorKind::NotFound || is_irregular(&error) {
                names.unsynced.remove(&directory);
            }
            return Err(error);
        }
        if names.has_moved_uploads {
            self.sync_uploads()?;
            names.has_moved_uploads = false;
        }
        let synced = std::mem::take(&mut names.unsynced);
        names.durable_shards.extend(synced);
        Ok(())
    }

    /// Removes the file of a collected blob and returns it, still open; `None` if it is absent.
    ///
    /// Its space is freed when the result is dropped, which takes a while for a large file. Call this inside a write
    /// transaction that has just seen that no row has the digest, and [`Self::sync_removed`] later.
    pub fn unlink_blob(&self, digest: &Digest) -> io::Result<Option<KeptOpen>> {
        let place = self.blob(digest)?;
        if let Some(shard) = place.parent() {
            let shard = shard.relative().to_owned();
            self.names.lock().removed.insert(shard);
        }
        let file = match place.open(OFlags::RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // something in the blob's place, whose own content is nobody's here
            Err(error) if is_irregular(&error) => {
                // a directory there, or a link on the way, is nothing of ours: the file is gone
                if place.metadata().map_or(true, |found| found.is_dir()) {
                    return Ok(None);
                }
                None
            }
            Err(error) if is_unreadable(&error) => None,
            other => Some(other?),
        };
        self.timed(Operation::Delete, || place.remove())
            .map(|()| file.map(|file| KeptOpen { _file: file }))
    }

    /// Makes every removal by [`Self::unlink_blob`] durable, with one sync per directory.
    pub fn sync_removed(&self) -> io::Result<()> {
        let removed = std::mem::take(&mut self.names.lock().removed);
        let sync = |shard: &PathBuf| self.blobs()?.place(shard).sync();
        let synced = removed.iter().try_for_each(|shard| match sync(shard) {
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_irregular(&error) => Ok(()),
            other => other,
        });
        if synced.is_err() {
            self.names.lock().removed.extend(removed);
        }
        synced
    }

    /// True if an upload's file also has the name of the blob `digest`.
    pub fn is_published_as(&self, file: &UploadFile, digest: &Digest) -> bool {
        self.blob(digest).is_ok_and(|place| file.is_at(&place))
    }
}

/// Frees the place of a blob, and that of its shard.
pub(super) fn clear(place: &Place<'_>) -> io::Result<()> {
    let absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    if let Some(shard) = place.parent() {
        match shard.metadata() {
            Ok(found) if !found.is_dir() => return move_aside(&shard),
            Err(error) if absent(&error) => return Ok(()),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    match place.metadata() {
        Ok(found) if found.is_dir() => move_aside(place),
        Err(error) if absent(&error) => Ok(()),
        found => found.and_then(|_| place.remove()),
    }
}

fn move_aside(place: &Place<'_>) -> io::Result<()> {
    let aside = place.beside(&format!("aside-{}", UploadId::random()));
    place.rename(&aside)?;
    let (from, to) = (place.path(), aside.path());
    tracing::warn!(
        from = %from.display(),
        to = %to.display(),
        "moved aside what was in the place of a blob's file or directory: remove it if nobody needs it"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::blob::Hasher;
    use crate::oci::Algorithm;

    fn upload(store: &BlobStore, id: &UploadId, content: &'static [u8]) -> UploadFile {
        let mut file = store.open_upload(id).unwrap().unwrap();
        file.append(&[bytes::Bytes::from_static(content)]).unwrap();
        file
    }

    #[test]
    fn a_replaced_upload_file_is_not_published() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::new(directory.path());
        store.prepare().unwrap();
        let id = UploadId::random();
        let verified = upload(&store, &id, b"right");
        store.remove_upload(&id).unwrap();
        let _impostor = upload(&store, &id, b"wrong");
        let digest = Hasher::digest(Algorithm::Sha256, b"right");
        assert!(store.publish(&id, &verified, &digest).is_err());
        assert!(!store.has_blob(&digest, 5));
    }

    #[test]
    fn a_directory_that_cannot_be_made_or_is_gone_fails_no_later_commit() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::new(directory.path());
        store.prepare().unwrap();
        let publish = |content: &'static [u8]| {
            let (id, digest) = (
                UploadId::random(),
                Hasher::digest(Algorithm::Sha256, content),
            );
            store.publish(&id, &upload(&store, &id, content), &digest)
        };
        let (shards, aside) = (
            directory.path().join("blobs/sha256"),
            directory.path().join("aside"),
        );
        fs::rename(&shards, &aside).unwrap();
        assert!(publish(b"one").is_err());
        fs::rename(&aside, &shards).unwrap();
        store.sync_published().unwrap();
        publish(b"two").unwrap();
        let shard = fs::read_dir(&shards).unwrap().next().unwrap().unwrap();
        fs::remove_dir_all(shard.path()).unwrap();
        assert!(store.sync_published().is_err());
        store.sync_published().unwrap();
    }

    #[test]
    fn publishing_replaces_an_orphaned_blob_file() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::new(directory.path());
        store.prepare().unwrap();
        let digest = Hasher::digest(Algorithm::Sha256, b"right");
        let place = store.blob(&digest).unwrap().path();
        fs::create_dir(place.parent().unwrap()).unwrap();
        fs::write(&place, b"left over").unwrap();
        let id = UploadId::random();
        store
            .publish(&id, &upload(&store, &id, b"right"), &digest)
            .unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"right");
    }
}
