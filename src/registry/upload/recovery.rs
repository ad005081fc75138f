//! Recovery of upload files after crashes, at a cost that grows with the number of uploads.
//!
//! A file in the uploads directory is garbage if no request holds it and no open session owns it.
//! If it has a second name, a crash came between publishing it as a blob and removing its own name.
//! Either the commit in between happened, and only the upload's name is left over, or it did not,
//! and the blob's name must be removed as well. A write transaction decides, because no upload can
//! intervene there; the content tells which blob it is. Where files have no second names, a note
//! beside the uploads stands for it, and the file moves back.

use std::sync::Arc;

use crate::blob::{Hasher, UploadFile, UploadId};
use crate::meta::now;
use crate::oci::{Algorithm, Digest};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Uploads;

/// Result of recovery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveredUploads {
    /// Orphaned upload files that were removed.
    pub files: usize,
    /// Files under a blob's name, without a row, that were removed.
    pub orphans: usize,
}

impl Uploads<'_> {
    /// Removes orphaned upload files.
    ///
    /// Logs and skips files that fail.
    pub async fn recover(self) -> Result<RecoveredUploads, Error> {
        let mut cleared = RecoveredUploads::default();
        let blobs = Arc::clone(&self.registry.blobs);
        let listing =
            blocking(move || blobs.upload_files().map(Iterator::collect::<Vec<_>>)).await?;
        for id in listing.map_err(Error::files("listing the uploads"))? {
            let result = match id {
                Ok(id) => self.recover_file(&id, &mut cleared).await,
                Err(error) => Err(Error::files("inspecting an upload")(error)),
            };
            if let Err(error) = result {
                tracing::warn!(%error, "cannot remove an orphaned upload; continuing with the next");
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
            .map_err(Error::files("inspecting an upload"))?
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

    /// Resolves a file with two names, while its lock is held; returns true if it is not a blob.
    ///
    /// If its blob was committed, the upload's name is removed; otherwise the blob's name is, and
    /// its session, if any, continues, because what it received was acknowledged.
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
        let mut digests: Vec<Digest> = blocking(hash)
            .await?
            .map_err(Error::files("reading an upload back"))?;
        // of damaged content too
        let moved_to = file.moved_to().filter(|blob| !digests.contains(blob));
        digests.extend(moved_to);
        // A separate commit, before the decision: a commit that failed after it had reached the log
        // would come back with the next crash, unless a later one has overwritten it.
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
                        .unpublish(&id, &file, digest)
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
