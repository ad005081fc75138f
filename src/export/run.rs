//! Copying the content of a plan to its destination.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::export::destination::Destination;
use crate::export::error::Error;
use crate::export::layout_writer::LayoutWriter;
use crate::export::plan::Plan;
use crate::export::staging::Staging;
use crate::export::{docker, index};
use crate::oci::Digest;
use crate::oci::layout::{DOCKER_FILE, INDEX_FILE, MARK, MARK_FILE, blob_path};
use crate::registry::{self, BlobReader, CopyError, Registry};
use crate::threads::blocking;

/// Callback with the number of bytes copied since the last call.
pub type Watcher = Arc<dyn Fn(u64) + Send + Sync>;

/// A plan on its way to its destination.
struct Copy {
    plan: Plan,
    blobs: BlobReader,
    destination: String,
    watcher: Watcher,
    stop: Arc<AtomicBool>,
}

/// Writes what was planned; with `stop` set, ends early.
///
/// Until it returns, content that loses its last holder is kept from collection.
///
/// # Errors
/// A blob is damaged, or the destination cannot be written; nothing new is there then, except on standard output.
pub async fn write(
    registry: &Registry,
    plan: Plan,
    destination: &Destination,
    watcher: Watcher,
    stop: Arc<AtomicBool>,
) -> Result<(), Error> {
    let export = registry.export();
    let needed: Vec<Digest> = plan.blobs.keys().cloned().collect();
    export.renew(&needed).await?;
    let copy = Copy {
        plan,
        blobs: export.blob_reader(),
        destination: destination.to_string(),
        watcher,
        stop,
    };
    let destination = destination.clone();
    let copying = blocking::run(move || copy.to(&destination));
    tokio::pin!(copying);
    loop {
        tokio::select! {
            copied = &mut copying => {
                return copied.map_err(|error| registry::Error::Internal(error.to_string()))?;
            }
            () = tokio::time::sleep(export.renewal_interval()) => {
                if let Err(error) = export.renew(&needed).await {
                    tracing::warn!(%error, "cannot keep what is exported from collection");
                }
            }
        }
    }
}

impl Copy {
    /// Blocks.
    fn to(mut self, destination: &Destination) -> Result<(), Error> {
        let staging = match destination {
            Destination::StandardOutput => {
                let out = io::stdout().as_fd().try_clone_to_owned();
                let out = out.map_err(|cause| self.unwritten(cause))?;
                return self.copy(LayoutWriter::archive(File::from(out)));
            }
            Destination::Archive(path) => Staging::archive(path)?,
            Destination::Directory(path) => Staging::directory(path)?,
        };
        let writer = match destination {
            Destination::Archive(_) => staging.file().map(LayoutWriter::archive),
            _ => Ok(LayoutWriter::directory(staging.path().to_owned())),
        };
        let copied = writer
            .map_err(|cause| self.unwritten(cause))
            .and_then(|writer| self.copy(writer))
            .and_then(|()| staging.publish().map_err(|cause| self.unwritten(cause)));
        staging.clear();
        copied
    }

    fn unwritten(&self, cause: io::Error) -> Error {
        if self.stop.load(Ordering::Relaxed) {
            return Error::Interrupted;
        }
        Error::Unwritten {
            destination: self.destination.clone(),
            cause,
        }
    }

    fn copy(&mut self, mut writer: LayoutWriter) -> Result<(), Error> {
        let small = self
            .small_files()
            .map_err(|cause| self.unwritten(cause.into()))?;
        for (name, content) in small {
            writer
                .add(name, &content)
                .map_err(|cause| self.unwritten(cause))?;
        }
        self.manifests(&mut writer)?;
        for (digest, blob) in &self.plan.blobs {
            self.blob(digest, blob.size, blob.image, &mut writer)?;
        }
        writer.finish().map_err(|cause| self.unwritten(cause))
    }

    /// Returns the files that are no content, with their names.
    fn small_files(&self) -> serde_json::Result<Vec<(&'static str, Vec<u8>)>> {
        let mut files = vec![
            (MARK_FILE, MARK.as_bytes().to_vec()),
            (INDEX_FILE, index::file(&self.plan)?),
        ];
        if let Some(images) = &self.plan.docker {
            files.push((DOCKER_FILE, docker::file(images)?));
        }
        Ok(files)
    }

    fn manifests(&mut self, writer: &mut LayoutWriter) -> Result<(), Error> {
        let destination = &self.destination;
        let watcher = &self.watcher;
        self.plan.manifests.read_all(Error::Spool, |digest, bytes| {
            let added = writer.add(&blob_path(digest), bytes);
            watcher(bytes.len() as u64);
            added.map_err(|cause| Error::Unwritten {
                destination: destination.clone(),
                cause,
            })
        })
    }

    fn blob(
        &self,
        digest: &Digest,
        size: u64,
        image: usize,
        writer: &mut LayoutWriter,
    ) -> Result<(), Error> {
        let image = || self.plan.images.get(image).cloned().unwrap_or_default();
        writer
            .begin(&blob_path(digest), size)
            .map_err(|cause| self.unwritten(cause))?;
        let mut write = |bytes: &[u8]| {
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            writer.write(bytes)?;
            (self.watcher)(bytes.len() as u64);
            Ok(())
        };
        self.blobs
            .copy(digest, size, &mut write)
            .map_err(|error| match error {
                CopyError::Damaged(problem) => Error::Damaged {
                    image: image(),
                    digest: digest.clone(),
                    problem,
                },
                CopyError::Unreadable(cause) => Error::Unreadable {
                    image: image(),
                    digest: digest.clone(),
                    cause,
                },
                CopyError::Unwritten(cause) => self.unwritten(cause),
            })?;
        writer.end().map_err(|cause| self.unwritten(cause))
    }
}
