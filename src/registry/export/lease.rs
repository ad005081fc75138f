//! Leases of content while it is exported.

use std::io;
use std::time::Duration;

use crate::blob::{DirectoryLock, KeptOpen};
use crate::meta::now;
use crate::oci::Digest;
use crate::registry::error::Error;
use crate::registry::facades::Export;

/// Number of blobs looked at, or renewed, at once.
const BATCH: usize = 500;
/// Minimum interval between two renewals.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(20);

impl Export<'_> {
    /// Keeps commands that ignore leases from collecting, until the result is dropped.
    ///
    /// # Errors
    /// Such a command is running.
    pub fn lock(self) -> Result<[KeptOpen; 2], Error> {
        let blobs = &self.registry.blobs;
        let locked = |lock: io::Result<Option<KeptOpen>>, command| {
            lock.map_err(Error::files("locking the data directory"))?
                .ok_or_else(|| {
                    Error::Internal(format!("{command} is running: export when it has finished"))
                })
        };
        Ok([
            locked(
                blobs.lock_directory(DirectoryLock::Shared),
                "registry garbage-collect",
            )?,
            locked(blobs.lock_blobs(DirectoryLock::Shared), "registry gc --now")?,
        ])
    }

    /// Returns the interval at which [`Self::renew`] has to be called: a quarter of the time for which anything stays.
    pub fn renewal_interval(self) -> Duration {
        let retention = &self.registry.settings().retention;
        (retention.lease.max(retention.grace) / 4).max(SHORTEST_INTERVAL)
    }

    /// Renews the leases of those blobs that no manifest needs any more.
    ///
    /// Blobs that are needed cost a read, and nothing is written.
    pub async fn renew(self, blobs: &[Digest]) -> Result<(), Error> {
        for some in blobs.chunks(BATCH) {
            let some = some.to_vec();
            let unneeded = self
                .registry
                .scan(move |reader| {
                    let mut found = Vec::new();
                    for digest in some {
                        if reader.is_unneeded(&digest)? {
                            found.push(digest);
                        }
                    }
                    Ok(found)
                })
                .await?;
            if unneeded.is_empty() {
                continue;
            }
            self.registry
                .meta
                .write_lazily(move |tx| {
                    for digest in &unneeded {
                        if let Some(blob) = tx.blob(digest)? {
                            tx.renew_links(blob, now())?;
                            tx.renew_blob(blob, now())?;
                        }
                    }
                    Ok::<_, Error>(())
                })
                .await?;
        }
        Ok(())
    }
}
