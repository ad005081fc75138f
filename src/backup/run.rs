//! A backup, beside a running server and its collection.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::backup::copies::Copies;
use crate::backup::error::Error;
use crate::backup::listed::{Listed, PAGE, copy_listed};
use crate::backup::outcome::{BackupPlan, BackupProgress, BackupSummary};
use crate::backup::place::{Destination, Place, are_on_one_disk};
use crate::registry::{self, BlobCopier, CopyCounts, CopyPace, Loss, Registry, SecondLook};
use crate::threads::blocking;

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
    let copies = Copies::new(copier, &to, earlier.as_deref());
    let (_, mut plan) = count(registry, copies).await?;
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
        let copies = Copies::new(copier, directory.root(), earlier);
        let (copies, plan) = count(self.registry, copies).await?;
        self.progress.expect(plan.new_size);
        // most of the work, while files may be removed
        let copies = self.copy_current(copies, plan.new_size).await?;
        let _held = backups.hold_files().await?;
        let (copies, at, listed) = self.copy_snapshot(copies).await?;
        let mut copier = copies.into_copier();
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
        mut listed: Listed,
    ) -> BackupSummary {
        let root = self.registry.backups().root();
        BackupSummary {
            directory,
            blobs: listed.blobs,
            size: listed.size,
            copied: counts.copied,
            copied_size: counts.copied_size,
            shared: counts.shared,
            database_size,
            incomplete: std::mem::take(&mut listed.incomplete),
            damaged: listed.into_damaged(),
            is_same_disk: counts.shared > 0 || are_on_one_disk(&root, self.path),
            ..BackupSummary::default()
        }
    }

    /// Copies the blobs that the database lists now. Files that are missing are looked for later.
    async fn copy_current(&self, mut copies: Copies, needed: u64) -> Result<Copies, Error> {
        let mut space = Space {
            path: self.path.to_owned(),
            needed: Some(needed),
        };
        let mut after = 0;
        loop {
            let page = self.registry.backups().blobs_after(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(copies);
            };
            after = last.id.number();
            let failed = Error::files("copying blobs to", self.path);
            (copies, space) = blocking(move || {
                for blob in page {
                    // lost ones are judged by the snapshot
                    let _ = copies.copy(&blob).map_err(&failed)?;
                    space.check(copies.copier())?;
                }
                copies.settle().map_err(&failed)?;
                Ok::<_, Error>((copies, space))
            })
            .await??;
        }
    }

    /// Copies the database, and what is missing of the blobs that it lists.
    async fn copy_snapshot(
        &self,
        mut copies: Copies,
    ) -> Result<(Copies, SystemTime, Listed), Error> {
        for _ in 0..ATTEMPTS {
            let at = SystemTime::now();
            let path = self.place.directory.partial_database();
            let copied = self.registry.backups().copy_database(path).await;
            let copy = copied.map_err(|error| self.explained(error, copies.copier()))?;
            let (to, registry) = (self.path.to_owned(), self.registry.clone());
            let (returned, listed) = blocking(move || {
                let mut listed = copy_listed(&mut copies, &copy, &to)?;
                listed.incomplete = registry.backups().incomplete_images(&copy)?;
                Ok::<_, Error>((copies, listed))
            })
            .await??;
            copies = returned;
            if self.is_settled(&listed).await? {
                return Ok((copies, at, listed));
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
            full if full.is_full() => true,
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

/// Counts blobs, and those that have to be copied.
async fn count(registry: &Registry, mut copies: Copies) -> Result<(Copies, BackupPlan), Error> {
    let (mut plan, mut after) = (BackupPlan::default(), 0);
    loop {
        let page = registry.backups().blobs_after(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok((copies, plan));
        };
        after = last.id.number();
        (copies, plan) = blocking(move || {
            for blob in &page {
                plan.blobs += 1;
                plan.size += blob.size;
                if copies.is_needed(blob) {
                    plan.new_blobs += 1;
                    plan.new_size += blob.size;
                }
            }
            (copies, plan)
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
