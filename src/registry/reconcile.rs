//! Clearing what crashes and vanished clients leave behind, at a cost that follows the number of uploads.
//!
//! A file in the uploads directory is garbage once no request holds it and no open session owns it. If it has a second
//! name, a crash came between giving it its blob's name and letting go of its own: either the commit in between
//! happened, and only the upload's name is left over, or it did not, and the blob's name must go too. Which of the two
//! is judged inside a write transaction, where no upload can be in between, and which blob it is the content tells.

use std::io;
use std::sync::Arc;

use super::{Error, Registry, blocking};
use crate::blob::{Leftover, UploadFile, UploadId};
use crate::meta::{self, now};
use crate::oci::{Algorithm, Digest};

/// How many expired sessions are ended in one round.
const EXPIRED_AT_ONCE: usize = 1000;

/// What was cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Sessions whose time was over.
    pub expired: usize,
    /// Files of uploads that nobody owned.
    pub files: usize,
    /// Files under a blob's name that no commit stands for.
    pub orphans: usize,
}

impl Registry {
    /// Removes the files that belong to nobody and ends expired sessions. One bad file stops nothing.
    pub async fn reconcile(&self) -> Result<Reconciled, Error> {
        let mut cleared = Reconciled::default();
        let blobs = Arc::clone(&self.blobs);
        let listing = blocking(move || blobs.leftovers().map(Iterator::collect::<Vec<_>>)).await?;
        for leftover in listing.map_err(Error::files("listing the uploads"))? {
            let result = match leftover {
                Ok(Leftover { id, is_published: true }) => self.clear_published(&id, &mut cleared).await,
                Ok(Leftover { id, is_published: false }) => self.clear_unowned(&id, &mut cleared).await,
                Err(error) => Err(Error::files("looking at an upload")(error)),
            };
            if let Err(error) = result {
                tracing::warn!(%error, "a left-over upload could not be cleared; going on with the next");
            }
        }
        self.end_expired(&mut cleared).await?;
        Ok(cleared)
    }

    /// An upload's file under its own name only: garbage unless a session owns it or a request holds it.
    async fn clear_unowned(&self, id: &UploadId, cleared: &mut Reconciled) -> Result<(), Error> {
        let Some(file) = self.lock(id)? else { return Ok(()) };
        let session = id.clone();
        if !self.meta.write(move |tx| Ok::<_, Error>(tx.has_upload(session.as_str())?)).await? {
            self.blobs.remove_upload(id).map_err(Error::files("removing an upload"))?;
            cleared.files += 1;
        }
        drop(file);
        Ok(())
    }

    /// An upload's file that also has a blob's name.
    async fn clear_published(&self, id: &UploadId, cleared: &mut Reconciled) -> Result<(), Error> {
        let (blobs, hashed) = (Arc::clone(&self.blobs), id.clone());
        let hash = move || Algorithm::ALL.into_iter().map(|algorithm| blobs.hash_upload(&hashed, algorithm)).collect::<Result<Vec<_>, _>>();
        let digests: Vec<Digest> = blocking(hash).await?.map_err(Error::files("reading an upload back"))?;
        // A commit of its own, before any judgement: a commit that failed after it had reached the log would come back
        // with the next crash, unless a later one has written over it.
        let claimed = id.clone();
        self.meta.write(move |tx| tx.claim_upload(claimed.as_str(), now())).await.map_err(|error: meta::Error| Error::from(error))?;
        let (blobs, id) = (Arc::clone(&self.blobs), id.clone());
        let orphans = self.meta.write(move |tx| {
            let mut orphans = 0;
            for digest in &digests {
                if blobs.is_published_as(&id, digest) && tx.blob(digest)?.is_none() {
                    blobs.remove_blob(digest).map_err(Error::files("removing an orphaned blob"))?;
                    orphans += 1;
                }
            }
            blobs.remove_upload(&id).map_err(Error::files("removing an upload"))?;
            tx.delete_upload(id.as_str())?;
            Ok::<_, Error>(orphans)
        });
        cleared.orphans += orphans.await?;
        cleared.files += 1;
        Ok(())
    }

    async fn end_expired(&self, cleared: &mut Reconciled) -> Result<(), Error> {
        for id in self.meta.expired_uploads(now(), EXPIRED_AT_ONCE)?.iter().filter_map(|id| UploadId::parse(id)) {
            // a locked one is being written to at this moment
            let Some(file) = self.lock(&id)? else { continue };
            self.discard(&id).await?;
            drop(file);
            cleared.expired += 1;
        }
        Ok(())
    }

    fn lock(&self, id: &UploadId) -> Result<Option<UploadFile>, Error> {
        match self.blobs.open_upload(id) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map_err(Error::files("opening an upload")),
        }
    }
}
