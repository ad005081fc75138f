//! Servers on one data directory: their locks, and the sections of the configuration that they must have in common.
//!
//! Each server serves all content, and collects by its own rules. One that lacks the access rules of another would show what
//! they hide, and one that lacks its retention rules would remove what they keep.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::blob::{BlobStore, Company, DirectoryLock, HardLinks, KeptOpen};
use crate::meta::WriteTx;
use crate::registry::error::Error;
use crate::registry::service::Registry;

/// A server among those of a data directory.
struct Joined {
    presence: KeptOpen,
    company: Company,
    /// Sections that the last server had, and this one lacks.
    missing: Vec<String>,
}

impl Registry {
    /// Locks the directory as a server does, beside other servers, but not beside
    /// [`Self::lock_alone`].
    ///
    /// # Errors
    /// [`Error::SplitDirectory`], and an error if another process has the directory to itself.
    pub fn lock_serving(&self) -> Result<KeptOpen, Error> {
        let lock = || self.blobs.lock_directory(DirectoryLock::Shared);
        let lock = lock().map_err(Error::files("locking the data directory"))?.ok_or_else(|| {
            Error::Internal("registry garbage-collect has locked the data directory, or a backup to it: start again when it has finished".to_owned())
        })?;
        let links = self.blobs.hard_links();
        match links.map_err(Error::files("making a file in the data directory"))? {
            HardLinks::Possible => {}
            HardLinks::Impossible => tracing::info!(
                "the file system has no hard links: uploads become blobs by renames, and each waits for the disk twice"
            ),
            HardLinks::OtherDisk => {
                return Err(Error::SplitDirectory(self.blobs.root().to_owned()));
            }
        }
        Ok(lock)
    }

    /// Joins the servers of the data directory, and records the sections that this one's configuration has.
    ///
    /// Returns its presence. Drop that when the server begins to stop: then another one may start without its sections.
    ///
    /// # Errors
    /// [`Error::SectionsMissing`] if another server has sections that this one lacks.
    pub async fn join_servers(&self, sections: BTreeSet<String>) -> Result<KeptOpen, Error> {
        let blobs = Arc::clone(&self.blobs);
        let joined = self.meta.write(move |tx| join(tx, &blobs, &sections)).await;
        let Joined {
            presence,
            company,
            missing,
        } = match joined {
            Ok(joined) => joined,
            Err(refusal @ Error::SectionsMissing { .. }) => return Err(refusal),
            // a full disk is no reason not to serve
            Err(error) => {
                tracing::warn!(%error, "cannot record which sections the configuration has");
                announce(&self.blobs)?
            }
        };
        if !missing.is_empty() {
            tracing::warn!(
                "the configuration of the last server on this data directory had {}, which this one lacks",
                missing.join(", ")
            );
        }
        if company == Company::Others {
            tracing::warn!(
                "another server uses this data directory too: both serve the same content; stop one of them unless that is intended"
            );
        }
        Ok(presence)
    }

    /// Records the sections that this server's configuration has, after a reload.
    pub async fn record_sections(&self, sections: BTreeSet<String>) -> Result<(), Error> {
        let record = move |tx: &WriteTx<'_>| Ok(tx.set_server_sections(&sections)?);
        self.meta.write(record).await
    }
}

/// Joins inside a change, so that each of several servers that start at once sees those before it.
fn join(tx: &WriteTx<'_>, blobs: &BlobStore, own: &BTreeSet<String>) -> Result<Joined, Error> {
    let joined = announce(blobs)?;
    let missing: Vec<_> = tx.server_sections()?.difference(own).cloned().collect();
    if joined.company == Company::Others && !missing.is_empty() {
        return Err(Error::SectionsMissing {
            path: blobs.root().to_owned(),
            sections: missing.join(", "),
        });
    }
    tx.set_server_sections(own)?;
    Ok(Joined { missing, ..joined })
}

fn announce(blobs: &BlobStore) -> Result<Joined, Error> {
    let announced = blobs.announce_server();
    let (presence, company) = announced.map_err(Error::files("locking the data directory"))?;
    Ok(Joined {
        presence,
        company,
        missing: Vec::new(),
    })
}
