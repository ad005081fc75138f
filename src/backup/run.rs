//! A backup, beside a running server and its collection.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::backup::error::Error;
use crate::backup::outcome::{BackupPlan, BackupProgress, BackupSummary, DamagedBlob};
use crate::backup::place::{Destination, Place, are_on_one_disk};
use crate::oci::Digest;
use crate::registry::{
    self, BlobCopier, BlobId, CopyCounts, CopyPace, DatabaseCopy, Loss, Registry, SecondLook,
};
use crate::threads::blocking;

/// Maximum number of blobs read from the database at once.
const PAGE: usize = 500;
/// Number of attempts to copy the database with all blobs that it lists: one is enough unless a server was killed meanwhile.
const ATTEMPTS: usize = 5;

/// Counts the work of a backup; nothing is copied.
///
/// # Errors
/// A destination that is no place for it, and errors of the database.
pub async fn plan(registry: &Registry, destination: &Destination) -> Result<BackupPlan, Error> {
    let root = registry.backups().root();
    let (to, earlier) = destination.known(&root)?;
    let copier =
        registry
            .backups()
            .copier(&to, earlier.as_deref(), CopyPace::Full, Arc::default())?;
    let (_, mut plan) = count(registry, copier).await?;
    plan.is_same_disk = are_on_one_disk(&root, destination.path());
    Ok(plan)
}

/// Makes a backup.
///
/// # Errors
/// Whatever prevents it. The backup before is then whole.
pub async fn run(
    registry: &Registry,
    destination: &Destination,
    pace: CopyPace,
    progress: &BackupProgress,
) -> Result<BackupSummary, Error> {
    let begun = Instant::now();
    let (root, wanted) = (registry.backups().root(), destination.clone());
    let place = Arc::new(blocking(move || wanted.open(&root)).await??);
    let run = Run {
        registry,
        place: &place,
        path: destination.path(),
        progress,
    };
    let made = run.make(pace).await;
    if let Err(Error::Full(_) | Error::TooSmall { .. }) = made {
        // others may need the space
        blocking(move || place.abandon()).await?;
    }
    Ok(BackupSummary {
        took: begun.elapsed(),
        ..made?
    })
}

/// A backup that is being made.
struct Run<'r> {
    registry: &'r Registry,
    place: &'r Arc<Place>,
    /// As the owner has named it.
    path: &'r Path,
    progress: &'r BackupProgress,
}

/// Result of copying what a database lists. Sizes are in bytes.
#[derive(Default)]
struct Listed {
    blobs: u64,
    size: u64,
    lost: Vec<(Digest, u64, Loss)>,
}

/// Space that copies need, checked once it is certain that they are copies.
struct Space {
    path: PathBuf,
    /// In bytes; `None` once it was checked.
    needed: Option<u64>,
}

impl Run<'_> {
    async fn make(&self, pace: CopyPace) -> Result<BackupSummary, Error> {
        let (backups, directory) = (self.registry.backups(), &self.place.directory);
        let earlier = self.place.earlier.as_deref();
        let copier = backups.copier(directory.root(), earlier, pace, self.progress.counter())?;
        let (copier, plan) = count(self.registry, copier).await?;
        self.progress.expect(plan.new_size);
        // most of the work, while files may be removed
        let copier = self.copy_current(copier, plan.new_size).await?;
        let _held = backups.hold_files().await?;
        let (mut copier, at, listed) = self.copy_snapshot(copier).await?;
        let counts = copier.counts();
        let database_size = std::fs::metadata(directory.partial_database())
            .map_err(Error::files("examining", directory.root()))?
            .len();
        let files = directory.partial_database();
        let failed = Error::files("completing", directory.root());
        blocking(move || {
            copier.settle()?;
            copier.give(&[&files])
        })
        .await?
        .map_err(failed)?;
        let place = Arc::clone(self.place);
        let directory = blocking(move || place.complete(at)).await??;
        Ok(self.summary(directory, database_size, counts, listed))
    }

    fn summary(
        &self,
        directory: PathBuf,
        database_size: u64,
        counts: CopyCounts,
        listed: Listed,
    ) -> BackupSummary {
        let damaged = listed
            .lost
            .into_iter()
            .map(|(digest, _, loss)| DamagedBlob {
                digest,
                problem: loss.to_string(),
            });
        let root = self.registry.backups().root();
        BackupSummary {
            directory,
            blobs: listed.blobs,
            size: listed.size,
            copied: counts.copied,
            copied_size: counts.copied_size,
            shared: counts.shared,
            database_size,
            damaged: damaged.collect(),
            is_same_disk: counts.shared > 0 || are_on_one_disk(&root, self.path),
            ..BackupSummary::default()
        }
    }

    /// Copies the blobs that the database lists now. Files that are missing are looked for later.
    async fn copy_current(&self, mut copier: BlobCopier, needed: u64) -> Result<BlobCopier, Error> {
        let mut space = Space {
            path: self.path.to_owned(),
            needed: Some(needed),
        };
        let mut after = None;
        loop {
            let page = self.registry.backups().blobs_after(after, PAGE).await?;
            let Some((last, _, _)) = page.last() else {
                return Ok(copier);
            };
            after = Some(*last);
            let failed = Error::files("copying blobs to", self.path);
            (copier, space) = blocking(move || {
                for (_, digest, size) in page {
                    // lost ones are judged by the snapshot
                    let _ = copier.copy(&digest, size).map_err(&failed)?;
                    space.check(&copier)?;
                }
                copier.settle().map_err(&failed)?;
                Ok::<_, Error>((copier, space))
            })
            .await??;
        }
    }

    /// Copies the database, and what is missing of the blobs that it lists.
    async fn copy_snapshot(
        &self,
        mut copier: BlobCopier,
    ) -> Result<(BlobCopier, SystemTime, Listed), Error> {
        for _ in 0..ATTEMPTS {
            let at = SystemTime::now();
            let path = self.place.directory.partial_database();
            let copied = self.registry.backups().copy_database(path).await;
            let copy = copied.map_err(|error| self.explained(error, &copier))?;
            let to = self.path.to_owned();
            let (returned, listed) = blocking(move || {
                let listed = copy_listed(&mut copier, &copy, &to)?;
                Ok::<_, Error>((copier, listed))
            })
            .await??;
            copier = returned;
            if self.is_settled(&listed).await? {
                return Ok((copier, at, listed));
            }
        }
        Err(Error::Unsettled)
    }

    /// False if a blob was collected, or came back, after the database was copied.
    async fn is_settled(&self, listed: &Listed) -> Result<bool, Error> {
        for (digest, size, loss) in &listed.lost {
            if matches!(loss, Loss::Missing)
                && self.registry.backups().look_again(digest, *size).await? != SecondLook::Lost
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Names the destination where its disk is full.
    fn explained(&self, error: registry::Error, copier: &BlobCopier) -> Error {
        let is_full = match &error {
            registry::Error::StorageFull(_) => true,
            // SQLite knows no quotas
            registry::Error::Meta(cause) if cause.is_unwritten() => {
                matches!(copier.to().find_shortage(), Ok(Some(_)))
            }
            _ => false,
        };
        if is_full {
            Error::Full(self.path.to_owned())
        } else {
            error.into()
        }
    }
}

impl Space {
    /// Fails if the rest of the copies does not fit on the disk.
    fn check(&mut self, copier: &BlobCopier) -> Result<(), Error> {
        let counts = copier.counts();
        let Some(needed) = self.needed.take_if(|_| counts.copied > 0) else {
            return Ok(());
        };
        let needed = needed.saturating_sub(counts.copied_size);
        let free = copier
            .to()
            .free_space()
            .map_err(Error::files("examining", &self.path))?
            .bytes;
        if needed > free {
            return Err(Error::TooSmall {
                path: self.path.clone(),
                needed,
                free,
            });
        }
        Ok(())
    }
}

/// Copies the blobs that a copied database lists.
fn copy_listed(copier: &mut BlobCopier, copy: &DatabaseCopy, to: &Path) -> Result<Listed, Error> {
    let failed = Error::files("copying blobs to", to);
    let mut listed = Listed::default();
    let mut after: Option<BlobId> = None;
    loop {
        let page = copy
            .blobs_after(after, PAGE)
            .map_err(registry::Error::from)?;
        let Some((last, _, _)) = page.last() else {
            copier.settle().map_err(&failed)?;
            return Ok(listed);
        };
        after = Some(*last);
        for (_, digest, size) in page {
            listed.blobs += 1;
            listed.size += size;
            if let Err(loss) = copier.copy(&digest, size).map_err(&failed)? {
                listed.lost.push((digest, size, loss));
            }
        }
    }
}

/// Counts blobs, and those that have to be copied.
async fn count(
    registry: &Registry,
    mut copier: BlobCopier,
) -> Result<(BlobCopier, BackupPlan), Error> {
    let (mut plan, mut after) = (BackupPlan::default(), None);
    loop {
        let page = registry.backups().blobs_after(after, PAGE).await?;
        let Some((last, _, _)) = page.last() else {
            return Ok((copier, plan));
        };
        after = Some(*last);
        (copier, plan) = blocking(move || {
            for (_, digest, size) in &page {
                plan.blobs += 1;
                plan.size += size;
                if copier.is_needed(digest, *size) {
                    plan.new_blobs += 1;
                    plan.new_size += size;
                }
            }
            (copier, plan)
        })
        .await?;
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = blocking::run(work).await;
    Ok(done.map_err(|error| registry::Error::Internal(error.to_string()))?)
}
