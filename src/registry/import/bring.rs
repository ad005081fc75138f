//! Bringing the files of blobs beside a running server: by a hard link, shared blocks, or a copy.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

use futures_util::stream;

use crate::blob::{Hasher, SourceFile, UploadFile, UploadId};
use crate::meta::{Actor, WriteTx};
use crate::oci::{Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::import::piece::ImportedBlob;
use crate::registry::upload::body::{BodyStream, Part};
use crate::registry::upload::hashed_file::HashedFile;
use crate::registry::upload::publish::Origin;

/// Size of the pieces in which a file is copied, in bytes.
const CHUNK: usize = 256 << 10;

/// Way in which the files of blobs come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Links where the file system allows them, else copies.
    Link,
    /// Copies, which may share blocks with the original.
    Copy,
}

/// Result of [`Import::bring`].
#[derive(Debug, Default)]
pub struct Brought {
    /// Blobs whose files are linked here, to be recorded.
    pub linked: Vec<ImportedBlob>,
    /// Blobs that were copied, and must be there still when the manifests that need them are recorded.
    pub copied: Vec<ImportedBlob>,
    /// Blobs that could not be brought, with the reasons.
    pub failed: Vec<(Digest, Unbrought)>,
}

/// Reason why a blob could not be brought.
#[derive(Debug)]
pub enum Unbrought {
    /// Its content has another digest.
    Altered,
    Unreadable(io::Error),
}

impl Import<'_> {
    /// Gives new blobs of a repository their files here, durably; [`Self::record`] makes the linked ones visible.
    ///
    /// Copies are compared with their digests, and visible at once.
    ///
    /// # Errors
    /// Errors of this registry's disk and database.
    pub async fn bring(
        self,
        repository: &RepositoryName,
        blobs: Vec<ImportedBlob>,
        way: Way,
        actor: &Actor,
    ) -> Result<Brought, Error> {
        let mut brought = Brought::default();
        let to_copy = match way {
            Way::Link => self.link_all(blobs, &mut brought).await?,
            Way::Copy => blobs,
        };
        for blob in to_copy {
            match self.copy(repository, &blob, actor.clone()).await {
                Ok(Ok(())) => brought.copied.push(blob),
                Ok(Err(reason)) => brought.failed.push((blob.digest, reason)),
                Err(error) => return Err(error),
            }
        }
        Ok(brought)
    }

    /// Splits blobs into those that are stored here and others.
    pub async fn split(
        self,
        blobs: Vec<ImportedBlob>,
    ) -> Result<(Vec<ImportedBlob>, Vec<ImportedBlob>), Error> {
        self.registry
            .scan(move |reader| {
                let (mut present, mut new) = (Vec::new(), Vec::new());
                for blob in blobs {
                    let is_present = reader.blob(&blob.digest)?.is_some();
                    if is_present { &mut present } else { &mut new }.push(blob);
                }
                Ok((present, new))
            })
            .await
    }

    /// Links what can be linked, and returns the rest.
    ///
    /// A note in the database precedes each link, so that collection removes it should this process die before the row. What was
    /// found damaged here is copied: a copy is compared with its digest before it is served.
    async fn link_all(
        self,
        blobs: Vec<ImportedBlob>,
        brought: &mut Brought,
    ) -> Result<Vec<ImportedBlob>, Error> {
        if blobs.is_empty() {
            return Ok(blobs);
        }
        let note = move |tx: &WriteTx<'_>| {
            let (mut noted, mut damaged) = (Vec::new(), Vec::new());
            for mut blob in blobs {
                if tx.damaged_blob(&blob.digest)?.is_some() {
                    damaged.push(blob);
                } else {
                    blob.note = Some(tx.note_removal(&blob.digest, blob.source.size)?);
                    noted.push(blob);
                }
            }
            Ok::<_, Error>((noted, damaged))
        };
        let (blobs, mut rest) = self.registry.meta.write(note).await?;
        let store = Arc::clone(&self.registry.blobs);
        let link = move || {
            let linked = blobs.into_iter().map(|blob| {
                let linked = store.link_source(&blob.source, &blob.digest);
                (blob, linked)
            });
            let linked = linked.collect::<Vec<_>>();
            // once for all: the other registry may not have written what it has stored
            store.sync_file_system().map(|()| linked)
        };
        let linked = blocking(link).await?;
        for (blob, linked) in linked.map_err(Error::files("writing linked blobs to disk"))? {
            match linked {
                Ok(()) => brought.linked.push(blob),
                Err(error) if is_copied_instead(&error) => rest.push(blob),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    brought
                        .failed
                        .push((blob.digest, Unbrought::Unreadable(error)));
                }
                Err(error) => return Err(Error::Link(error)),
            }
        }
        Ok(rest)
    }

    /// Copies a blob into the repository, unless its content has another digest.
    async fn copy(
        self,
        repository: &RepositoryName,
        blob: &ImportedBlob,
        actor: Actor,
    ) -> Result<Result<(), Unbrought>, Error> {
        self.registry.check_disk_space(blob.source.size)?;
        let id = UploadId::random();
        let file = self.registry.uploads().open_file(&id).await?;
        let (source, algorithm) = (blob.source.clone(), blob.digest.algorithm());
        let (file, opened) = blocking(move || share(file, source)).await?;
        let received = match opened {
            Ok(Opened::Shared) => {
                let rehash = move || {
                    file.rehash(algorithm)
                        .map(|hasher| HashedFile::new(file, hasher))
                };
                Ok(blocking(rehash)
                    .await?
                    .map_err(Error::files("reading a copied blob"))?)
            }
            Ok(Opened::ToRead(reader)) => {
                let upload = HashedFile::new(file, Hasher::new(algorithm));
                self.registry.uploads().ingest(upload, body(reader)).await
            }
            Err(error) => {
                self.registry.uploads().discard(&id, file, actor).await?;
                return Ok(Err(Unbrought::Unreadable(error)));
            }
        };
        let stored = self
            .registry
            .uploads()
            .store_received(
                Some(repository),
                &id,
                Some(&blob.digest),
                received,
                Origin::Request,
                actor,
            )
            .await;
        match stored {
            Err(Error::DigestMismatch { .. }) => Ok(Err(Unbrought::Altered)),
            Err(Error::Body(cause)) => Ok(Err(Unbrought::Unreadable(io::Error::other(cause)))),
            other => other.map(|_| Ok(())),
        }
    }
}

/// Tells a file that cannot be linked from one that cannot be brought.
fn is_copied_instead(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::CrossesDevices
            | ErrorKind::PermissionDenied
            | ErrorKind::Unsupported
            | ErrorKind::TooManyLinks
    )
}

/// A source's file, opened to be copied.
enum Opened<R> {
    /// The copy is complete, with the same blocks.
    Shared,
    ToRead(R),
}

fn share(
    mut file: UploadFile,
    source: SourceFile,
) -> (UploadFile, io::Result<Opened<impl Read + Send + 'static>>) {
    let opened = source.open().map(|source| {
        if file.share_blocks(&source) {
            Opened::Shared
        } else {
            Opened::ToRead(source)
        }
    });
    (file, opened)
}

/// Returns the content of a file as the body of an upload.
fn body(reader: impl Read + Send + 'static) -> impl BodyStream {
    let chunks = stream::try_unfold(reader, |mut reader| async {
        let read = blocking(move || {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = (&mut reader).take(CHUNK as u64).read_to_end(&mut chunk);
            read.map(|_| (chunk, reader))
        });
        let (chunk, reader) = read.await??;
        Ok((!chunk.is_empty()).then(|| (Part::Bytes(chunk.into()), reader)))
    });
    Box::pin(chunks)
}
