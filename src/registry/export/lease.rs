//! Leases of content while it is exported.

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
    /// Keeps `registry garbage-collect` from ignoring leases until the result is dropped.
    ///
    /// # Errors
    /// That command is running.
    pub fn lock(self) -> Result<KeptOpen, Error> {
        self.registry
            .blobs
            .lock_directory(DirectoryLock::Shared)
            .map_err(Error::files("locking the data directory"))?
            .ok_or_else(|| {
                Error::Internal(
                    "registry garbage-collect has locked the data directory: export when it has finished"
                        .to_owned(),
                )
            })
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
                        tx.renew_blob(digest, now())?;
                    }
                    Ok::<_, Error>(())
                })
                .await?;
        }
        Ok(())
    }
}
