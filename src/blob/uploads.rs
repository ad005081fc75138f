//! The files of uploads, and where they are.
//!
//! On file systems without hard links, uploads become blobs by a rename: a file has its blob's name before the commit, and
//! only that. A note beside the uploads, durable before the rename, says for which upload. After a crash or a failed commit
//! it leads back from the one name to the other, as a second link does elsewhere.

use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use rustix::fs::OFlags;

use super::file::BlobFile;
use super::growth::GrowingBlob;
use super::naming::HardLinks;
use super::stats::Operation;
use super::store::BlobStore;
use super::upload::{UploadFile, UploadId};
use crate::files::base_directory::Place;
use crate::oci::Digest;

/// Ending of the names of notes, after that of the upload.
const ENDING: &str = "blob";
/// Maximum length of a note, in bytes.
const NOTE_SIZE: u64 = 200;

/// Name of an upload's file, as its note tells.
#[derive(PartialEq, Eq)]
enum Whereabouts {
    /// Its own; there is no note.
    Own,
    /// Its own: a crash came before the rename, or what the note says is no longer so.
    NeverMoved,
    /// The name of a blob.
    Moved(Digest),
}

/// Returns the upload that a name in `uploads/` belongs to: its file, or its note.
pub(super) fn upload_of(name: &str) -> Option<UploadId> {
    let note = name
        .strip_suffix(ENDING)
        .and_then(|name| name.strip_suffix('.'));
    UploadId::parse(note.unwrap_or(name))
}

impl BlobStore {
    /// Opens and locks an upload's file, creating it if absent.
    ///
    /// Returns `None` while another request, of this process or another, holds the lock.
    pub fn open_upload(&self, id: &UploadId) -> io::Result<Option<UploadFile>> {
        let place = self.upload(id)?;
        self.timed(Operation::Writer, || self.open_anywhere(&place))
    }

    /// Lets others read the empty file of an upload while it grows to `size` bytes, if that is known.
    pub fn share_upload(
        &self,
        id: &UploadId,
        file: &mut UploadFile,
        size: Option<u64>,
    ) -> io::Result<GrowingBlob> {
        let read = self.upload(id)?.open(OFlags::RDONLY)?;
        Ok(file.share_growth(BlobFile::new(read, self.traffic.enter()), size))
    }

    /// Returns the number of bytes received of an upload: 0 if it has no file yet.
    pub fn upload_length(&self, id: &UploadId) -> io::Result<u64> {
        let progress = self.upload_progress(id)?;
        Ok(progress.map_or(0, |(length, _)| length))
    }

    /// Returns the number of bytes received of an upload, and the time of the last ones; `None` if it has no file yet.
    pub fn upload_progress(&self, id: &UploadId) -> io::Result<Option<(u64, SystemTime)>> {
        let place = self.place_of(id)?;
        match self.timed(Operation::Stat, || place.metadata()) {
            Ok(metadata) => Ok(Some((metadata.len(), metadata.modified()?))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the names of new upload files durable, as [`UploadFile::sync`] does with their bytes.
    pub fn sync_uploads(&self) -> io::Result<()> {
        self.uploads()?.place("").sync()
    }

    /// Removes an upload's own name; published bytes remain under the blob's name.
    pub fn remove_upload(&self, id: &UploadId) -> io::Result<()> {
        self.remove(&self.upload(id)?)?;
        self.remove_note(id)
    }

    /// Like [`Self::remove_upload`], but keeps a published file.
    ///
    /// Its own name marks the blob's name as an orphan should the commit have failed.
    pub fn discard_upload(&self, id: &UploadId) -> io::Result<()> {
        match self.upload(id)?.metadata() {
            Ok(metadata) if metadata.nlink() > 1 => Ok(()),
            _ if self.moved_to(id)?.is_some() => Ok(()),
            _ => self.remove_upload(id),
        }
    }

    /// Lists the uploads that have a file, including finished ones whose own name a crash left behind.
    pub fn upload_files(&self) -> io::Result<impl Iterator<Item = io::Result<UploadId>>> {
        let uploads = self.uploads()?.place("");
        Ok(self
            .timed(Operation::List, || uploads.names())?
            .filter_map(|name| name.map(|name| upload_of(&name)).transpose()))
    }

    /// Gives an upload's file the name of its blob instead of its own.
    ///
    /// Call it as [`Self::publish`], which does.
    pub(super) fn publish_by_rename(
        &self,
        id: &UploadId,
        file: &UploadFile,
        digest: &Digest,
    ) -> io::Result<()> {
        let (from, to) = (self.upload(id)?, self.blob(digest)?);
        let note = from.beside(ENDING);
        let mut written = note.open(OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        written.write_all(digest.as_str().as_bytes())?;
        written.sync_data()?;
        self.sync_uploads()?;
        let moved = self.replace(&to, || from.rename(&to));
        match &moved {
            Ok(()) => file.set_moved_to(Some(digest.clone())),
            Err(_) => self.remove(&note)?,
        }
        moved
    }

    /// Takes the name of a blob from a file whose upload has not become one, and gives back its own if it has lost that.
    ///
    /// Call it inside a write transaction that has just seen that no row has the digest.
    pub fn unpublish(&self, id: &UploadId, file: &UploadFile, digest: &Digest) -> io::Result<()> {
        let blob = self.blob(digest)?;
        if file.moved_to().is_none() {
            return self.remove(&blob);
        }
        let upload = self.upload(id)?;
        blob.rename(&upload)?;
        if let Some(shard) = blob.parent() {
            shard.sync()?;
        }
        self.sync_uploads()?;
        file.set_moved_to(None);
        self.remove(&upload.beside(ENDING))
    }

    /// Opens and locks the file of an upload, wherever it is, creating it if absent; `None` if it is locked already.
    pub(super) fn open_anywhere(&self, upload: &Place<'_>) -> io::Result<Option<UploadFile>> {
        loop {
            let whereabouts = self.whereabouts(upload)?;
            let opened = match &whereabouts {
                Whereabouts::Moved(digest) => {
                    match UploadFile::open_present(&self.blob(digest)?, &self.traffic) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        opened => opened?,
                    }
                }
                Whereabouts::Own | Whereabouts::NeverMoved => {
                    UploadFile::open(upload, &self.traffic)?
                }
            };
            let Some(file) = opened else {
                return Ok(None);
            };
            // while it was being locked, its last holder may have moved it
            if self.whereabouts(upload)? != whereabouts {
                continue;
            }
            match whereabouts {
                Whereabouts::Own => {}
                Whereabouts::NeverMoved => self.remove(&upload.beside(ENDING))?,
                Whereabouts::Moved(digest) => file.set_moved_to(Some(digest)),
            }
            return Ok(Some(file));
        }
    }

    /// Returns the place where an upload's file is.
    pub(super) fn place_of(&self, id: &UploadId) -> io::Result<Place<'_>> {
        let upload = self.upload(id)?;
        match self.whereabouts(&upload)? {
            Whereabouts::Moved(digest) => self.blob(&digest),
            Whereabouts::Own | Whereabouts::NeverMoved => Ok(upload),
        }
    }

    fn whereabouts(&self, upload: &Place<'_>) -> io::Result<Whereabouts> {
        if !self.may_have_notes()? {
            return Ok(Whereabouts::Own);
        }
        let mut text = String::new();
        match upload.beside(ENDING).open(OFlags::RDONLY) {
            // a note that was never completed says nothing
            Ok(note) => drop(note.take(NOTE_SIZE).read_to_string(&mut text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Whereabouts::Own),
            Err(error) => return Err(error),
        }
        let Ok(digest) = Digest::parse(&text) else {
            return Ok(Whereabouts::NeverMoved);
        };
        // an empty file is one that another request made meanwhile
        let is_in_place = upload.metadata().is_ok_and(|found| found.len() > 0);
        if is_in_place || self.blob(&digest)?.metadata().is_err() {
            return Ok(Whereabouts::NeverMoved);
        }
        Ok(Whereabouts::Moved(digest))
    }

    /// False if no upload has a note: with hard links none is written, so none is there if none was before.
    fn may_have_notes(&self) -> io::Result<bool> {
        if self.hard_links.get() != Some(&HardLinks::Possible) {
            return Ok(true);
        }
        if let Some(known) = self.has_notes.get() {
            return Ok(*known);
        }
        let mut names = self.uploads()?.place("").names()?;
        let found = names.any(|name| name.map_or(true, |name| name.ends_with(ENDING)));
        Ok(*self.has_notes.get_or_init(|| found))
    }

    /// Removes the note about an upload, if there is one.
    pub(super) fn remove_note(&self, id: &UploadId) -> io::Result<()> {
        if !self.may_have_notes()? {
            return Ok(());
        }
        match self.upload(id)?.beside(ENDING).remove() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns the blob whose name an upload's file has instead of its own.
    pub(super) fn moved_to(&self, id: &UploadId) -> io::Result<Option<Digest>> {
        Ok(match self.whereabouts(&self.upload(id)?)? {
            Whereabouts::Moved(digest) => Some(digest),
            Whereabouts::Own | Whereabouts::NeverMoved => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Hasher;
    use crate::oci::Algorithm;

    /// A store with an upload whose file has been moved to its blob's name.
    fn moved(store: &BlobStore) -> (UploadId, Digest) {
        store.prepare().unwrap();
        let id = UploadId::random();
        let mut file = store.open_upload(&id).unwrap().unwrap();
        file.append(&[bytes::Bytes::from_static(b"content")])
            .unwrap();
        let digest = Hasher::digest(Algorithm::Sha256, b"content");
        store.publish_by_rename(&id, &file, &digest).unwrap();
        assert!(store.open_upload(&id).unwrap().is_none(), "locked");
        assert!(file.is_published().unwrap());
        (id, digest)
    }

    #[test]
    fn a_moved_file_is_found_by_its_note() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::new(directory.path());
        let (id, digest) = moved(&store);
        assert!(store.has_blob(&digest, 7));
        assert_eq!(store.upload_length(&id).unwrap(), 7);
        let listed: Vec<_> = store.upload_files().unwrap().map(Result::unwrap).collect();
        assert_eq!(listed, std::slice::from_ref(&id));
        assert!(!store.has_content().unwrap());

        store.discard_upload(&id).unwrap();
        let file = store.open_upload(&id).unwrap().unwrap();
        assert!(file.is_published().unwrap() && store.is_published_as(&file, &digest));
        store.unpublish(&id, &file, &digest).unwrap();
        assert!(!store.has_blob(&digest, 7) && !file.is_published().unwrap());
        drop(file);
        let file = store.open_upload(&id).unwrap().unwrap();
        assert_eq!((file.length(), file.is_published().unwrap()), (7, false));
        store.discard_upload(&id).unwrap();
        assert_eq!(store.upload_files().unwrap().count(), 0);
    }

    #[test]
    fn a_finished_upload_leaves_its_blob_only() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::new(directory.path());
        let (id, digest) = moved(&store);
        store.remove_upload(&id).unwrap();
        assert_eq!(store.upload_files().unwrap().count(), 0);
        assert!(store.has_blob(&digest, 7) && store.has_content().unwrap());
        let file = store.open_upload(&id).unwrap().unwrap();
        assert_eq!((file.length(), file.is_published().unwrap()), (0, false));
    }

    #[test]
    fn notes_of_renames_that_did_not_happen_are_removed() {
        for note in [
            "sha256:0123",
            "",
            "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
        ] {
            let directory = tempfile::tempdir().unwrap();
            let store = BlobStore::new(directory.path());
            store.prepare().unwrap();
            let id = UploadId::random();
            let mut file = store.open_upload(&id).unwrap().unwrap();
            file.append(&[bytes::Bytes::from_static(b"content")])
                .unwrap();
            drop(file);
            let path = store.upload(&id).unwrap().beside(ENDING).path();
            std::fs::write(&path, note).unwrap();
            let file = store.open_upload(&id).unwrap().unwrap();
            assert_eq!((file.length(), file.is_published().unwrap()), (7, false));
            assert!(!path.exists(), "{note}");
        }
    }

    fn upload(store: &BlobStore, id: &UploadId, content: &'static [u8]) -> UploadFile {
        let mut file = store.open_upload(id).unwrap().unwrap();
        file.append(&[bytes::Bytes::from_static(content)]).unwrap();
        file
    }

    #[test]
    fn an_upload_is_locked_by_one_request_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::new(directory.path());
        store.prepare().unwrap();
        let id = UploadId::random();
        let file = upload(&store, &id, b"held");
        assert!(store.open_upload(&id).unwrap().is_none());
        let digest = Hasher::digest(Algorithm::Sha256, b"held");
        store.publish(&id, &file, &digest).unwrap();
        store.discard_upload(&id).unwrap();
        assert!(
            file.is_published().unwrap(),
            "a published file keeps its own name"
        );
        drop(file);
        assert!(
            store
                .open_upload(&id)
                .unwrap()
                .unwrap()
                .is_published()
                .unwrap()
        );
    }
}
