//! Clearing what crashes and vanished clients leave behind, at a cost that follows the number of uploads.
//!
//! A file in the uploads directory is garbage once no request holds it and no open session owns it. If it has a second
//! name, a crash came between giving it its blob's name and letting go of its own: either the commit in between
//! happened, and only the upload's name is left over, or it did not, and the blob's name must go too. Which of the two
//! is judged inside a write transaction, where no upload can be in between, and which blob it is the content tells.

use std::sync::Arc;

use crate::blob::{Hasher, UploadFile, UploadId};
use crate::meta::now;
use crate::oci::{Algorithm, Digest};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::slices::Uploads;

/// What was cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveredUploads {
    /// Files of uploads that nobody owned.
    pub files: usize,
    /// Files under a blob's name that no commit stands for.
    pub orphans: usize,
}

impl Uploads<'_> {
    /// Removes the files that belong to nobody. One bad file stops nothing.
    pub async fn recover(self) -> Result<RecoveredUploads, Error> {
        let mut cleared = RecoveredUploads::default();
        let blobs = Arc::clone(&self.registry.blobs);
        let listing =
            blocking(move || blobs.upload_files().map(Iterator::collect::<Vec<_>>)).await?;
        for id in listing.map_err(Error::files("listing the uploads"))? {
            let result = match id {
                Ok(id) => self.recover_file(&id, &mut cleared).await,
                Err(error) => Err(Error::files("looking at an upload")(error)),
            };
            if let Err(error) = result {
                tracing::warn!(%error, "a left-over upload could not be cleared; going on with the next");
            }
        }
        Ok(cleared)
    }

    async fn recover_file(
        self,
        id: &UploadId,
        cleared: &mut RecoveredUploads,
    ) -> Result<(), Error> {
        let Some(file) = self.lock(id)? else {
            return Ok(());
        };
        let file = Arc::new(file);
        if file
            .is_published()
            .map_err(Error::files("looking at an upload"))?
        {
            cleared.orphans += usize::from(self.resolve_published(id, &file).await?);
        }
        let session = id.clone();
        if !self
            .registry
            .meta
            .write(move |tx| Ok::<_, Error>(tx.has_upload(session.as_str())?))
            .await?
        {
            self.registry
                .blobs
                .discard_upload(id)
                .map_err(Error::files("removing an upload"))?;
            cleared.files += 1;
        }
        Ok(())
    }

    /// Decides what a file with two names is, while its lock is held. Where its blob was committed, it loses its own
    /// name; where it was not, the blob's, and its session, if it has one, goes on: what it received was acknowledged.
    /// True in the second case.
    pub(in crate::registry) async fn resolve_published(
        self,
        id: &UploadId,
        file: &Arc<UploadFile>,
    ) -> Result<bool, Error> {
        let hashed = Arc::clone(file);
        let hash = move || {
            Algorithm::ALL
                .into_iter()
                .map(|algorithm| hashed.rehash(algorithm).map(Hasher::finish))
                .collect::<Result<Vec<_>, _>>()
        };
        let digests: Vec<Digest> = blocking(hash)
            .await?
            .map_err(Error::files("reading an upload back"))?;
        // A commit of its own, before any judgement: a commit that failed after it had reached the log would come back
        // with the next crash, unless a later one has written over it.
        let touched = id.clone();
        let is_open = self
            .registry
            .meta
            .write(move |tx| Ok::<_, Error>(tx.touch_upload(touched.as_str(), now())?))
            .await?;
        let (blobs, file, id) = (
            Arc::clone(&self.registry.blobs),
            Arc::clone(file),
            id.clone(),
        );
        let settle = self.registry.meta.write(move |tx| {
            let names = digests
                .iter()
                .filter(|digest| blobs.is_published_as(&file, digest))
                .collect::<Vec<_>>();
            let mut is_blob = false;
            for digest in names {
                if tx.blob(digest)?.is_some() {
                    is_blob = true;
                } else {
                    blobs
                        .remove_blob(digest)
                        .map_err(Error::files("removing an orphaned blob"))?;
                }
            }
            if is_blob {
                blobs
                    .remove_upload(&id)
                    .map_err(Error::files("removing an upload"))?;
                file.make_read_only()
                    .map_err(Error::files("finishing a blob"))?;
            }
            if is_blob || !is_open {
                tx.delete_upload(id.as_str())?;
            }
            Ok::<_, Error>(!is_blob)
        });
        settle.await
    }

    pub(in crate::registry) fn lock(self, id: &UploadId) -> Result<Option<UploadFile>, Error> {
        self.registry
            .blobs
            .open_upload(id)
            .map_err(Error::files("opening an upload"))
    }
}
