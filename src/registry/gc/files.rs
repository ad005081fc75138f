//! Removal of the files of collected blobs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::blob::{DirectoryLock, KeptOpen};
use crate::meta::{Cursor, Removal, RemovalId, WriteTx};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::gc::run::SweepRun;
use crate::registry::gc::sweep_counts::SweepCounts;
use crate::registry::service::Registry;

/// Maximum number of removals read at once.
const BATCH: usize = 500;
/// Number of removed files after which removal is made durable, with one sync per directory.
const SYNC_EVERY: usize = 20_000;

impl SweepRun<'_> {
    /// Removes the files of collected blobs.
    pub(super) async fn files(&mut self) -> Result<(), Error> {
        let (mut after, mut unlinked) = (Cursor::START, Vec::new());
        'pages: loop {
            let removals = self
                .registry
                .scan(move |meta| meta.removals(after, BATCH))
                .await?;
            let Some((last, _)) = removals.last() else {
                break;
            };
            after = *last;
            let meta = self.registry.meta.clone();
            blocking(move || meta.sync())
                .await?
                .map_err(Error::files("syncing the database"))?;
            let mut waiting: VecDeque<Removal> =
                removals.into_iter().map(|(_, removal)| removal).collect();
            while !waiting.is_empty() {
                let (registry, budget, before) =
                    (self.registry.clone(), self.budget, waiting.len());
                let (rest, done) = self
                    .write(move |tx| unlink_batch(tx, &registry, waiting, budget))
                    .await?;
                self.progress.advance(before - rest.len());
                waiting = rest;
                if done.is_held {
                    tracing::info!("a backup is being made: files are removed when it is complete");
                    break 'pages;
                }
                unlinked.extend(done.ids);
                self.count(done.swept);
                // closing the last handle of a large file takes long: not inside the transaction
                blocking(move || drop(done.files)).await?;
            }
            if unlinked.len() >= SYNC_EVERY {
                self.forget_removals(std::mem::take(&mut unlinked)).await?;
            }
        }
        self.forget_removals(unlinked).await
    }

    async fn forget_removals(&mut self, ids: Vec<RemovalId>) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let blobs = Arc::clone(&self.registry.blobs);
        blocking(move || blobs.sync_removed())
            .await?
            .map_err(Error::files("syncing a directory of blobs"))?;
        for ids in ids.chunks(BATCH) {
            let ids = ids.to_vec();
            self.write(move |tx| Ok::<_, Error>(tx.forget_removals(&ids)?))
                .await?;
        }
        Ok(())
    }
}

/// Result of a batch of removals.
#[derive(Default)]
struct Unlinked {
    /// Completed removals.
    ids: Vec<RemovalId>,
    /// Handles kept open until the transaction ends.
    files: Vec<KeptOpen>,
    swept: SweepCounts,
    /// A backup keeps files from being removed.
    is_held: bool,
}

fn unlink_batch(
    tx: &WriteTx<'_>,
    registry: &Registry,
    mut waiting: VecDeque<Removal>,
    budget: Duration,
) -> Result<(VecDeque<Removal>, Unlinked), Error> {
    let begun = Instant::now();
    let mut done = Unlinked::default();
    let permit = registry
        .blobs
        .lock_removal(DirectoryLock::Shared)
        .map_err(Error::files("locking the blobs"))?;
    if permit.is_none() {
        done.is_held = true;
        return Ok((waiting, done));
    }
    while let Some(removal) = waiting.pop_front() {
        // pushed again meanwhile: the file now belongs to a row
        let unlinked = if tx.blob(&removal.digest)?.is_some() {
            Ok(None)
        } else {
            registry.blobs.unlink_blob(&removal.digest)
        };
        match unlinked {
            Ok(file) => {
                registry.failed_removals.forget(&removal.digest);
                registry.lost_blobs.forget(&removal.digest);
                let (files, bytes) = if file.is_some() {
                    (1, removal.size)
                } else {
                    (0, 0)
                };
                done.swept += SweepCounts {
                    files,
                    bytes,
                    ..SweepCounts::default()
                };
                done.ids.push(removal.id);
                done.files.extend(file);
            }
            Err(error) => {
                registry.failed_removals.log_once(&removal.digest, &error);
                done.swept.failures += 1;
            }
        }
        if begun.elapsed() >= budget {
            break;
        }
    }
    Ok((waiting, done))
}
