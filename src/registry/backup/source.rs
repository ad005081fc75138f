//! The registry as the source of a backup.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::blob::{BlobCopier, CopyPace, DirectoryLock, KeptOpen};
use crate::meta::{BackupMark, DatabaseCopy, RecordedBlob, RepositoryScope, now};
use crate::oci::Digest;
use crate::registry::backup::counters::BackupCounters;
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Backups;
use crate::telemetry::Counter;

/// Pause before another backup is asked again whether it still keeps files from being removed.
const PAUSE: Duration = Duration::from_millis(100);

/// State of a blob that the database listed and whose file was missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondLook {
    /// The file is there now.
    Present,
    /// The database lists the blob, and there is no such file.
    Lost,
    /// The database does not list the blob any more.
    Collected,
}

impl Backups<'_> {
    /// The data directory.
    pub fn root(self) -> PathBuf {
        self.registry.blobs.root().to_owned()
    }

    pub fn counters(self) -> Arc<BackupCounters> {
        Arc::clone(&self.registry.backups)
    }

    /// Returns a copier of blobs to the directory `to`; `earlier` is a backup on the same file system, `copied` counts bytes.
    ///
    /// # Errors
    /// A data directory that cannot be examined.
    pub fn copier(
        self,
        to: &Path,
        earlier: Option<&Path>,
        pace: CopyPace,
        copied: Arc<Counter>,
    ) -> Result<BlobCopier, Error> {
        BlobCopier::new(Arc::clone(&self.registry.blobs), to, earlier, pace, copied)
            .map_err(Error::files("examining the data directory"))
    }

    /// Lists blobs after the row `after`, at most `limit`.
    pub async fn blobs_after(self, after: i64, limit: usize) -> Result<Vec<RecordedBlob>, Error> {
        self.registry
            .scan(move |reader| reader.blobs_after(after, &RepositoryScope::ALL, limit))
            .await
    }

    /// Copies the database to a file, marked as a backup made now.
    ///
    /// # Errors
    /// A damaged database, and errors of both file systems.
    pub async fn copy_database(self, to: PathBuf) -> Result<DatabaseCopy, Error> {
        let meta = self.registry.meta.clone();
        let mark = BackupMark {
            of: self.registry.blobs.root().display().to_string(),
            at: now(),
        };
        Ok(blocking(move || meta.copy_to(&to, &mark)).await??)
    }

    /// Keeps files from being removed until the result is dropped; waits for another backup that does.
    pub async fn hold_files(self) -> Result<KeptOpen, Error> {
        loop {
            let blobs = Arc::clone(&self.registry.blobs);
            // inside a change, because files are removed inside changes: the lock is free, or a backup's
            let held = self
                .registry
                .meta
                .write_lazily(move |_| {
                    blobs
                        .lock_removal(DirectoryLock::Exclusive)
                        .map_err(Error::files("locking the blobs"))
                })
                .await?;
            match held {
                Some(held) => return Ok(held),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Looks again for a blob whose file was missing.
    pub async fn look_again(self, digest: &Digest, size: u64) -> Result<SecondLook, Error> {
        let (blobs, digest) = (Arc::clone(&self.registry.blobs), digest.clone());
        // inside a change, because a push that replaces a file does so inside one
        self.registry
            .meta
            .write_lazily(move |tx| {
                Ok(if tx.blob(&digest)?.is_none() {
                    SecondLook::Collected
                } else if blobs.has_blob(&digest, size) {
                    SecondLook::Present
                } else {
                    SecondLook::Lost
                })
            })
            .await
    }
}
