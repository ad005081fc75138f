//! Sweeps: collection of unreferenced content in small transactions, without a pause or a lock.
//!
//! A query finds candidates; the transaction that removes one checks it again, so a push, a promise
//! or a pull in between saves it. A blob's row is deleted first, with a note of its file. A later
//! transaction checks that no row has come back and removes the file; the note is deleted once the
//! removal is durable. A crash at any point neither loses content that has a row nor forgets files
//! that have none.
//!
//! Sweeps do not wait for the disk, because lost work would be repeated. But before a file is
//! removed, the deletion of its row must be durable.

use std::sync::Arc;
use std::time::Instant;

use crate::blob::DirectoryLock;
use crate::meta::{self, Actor, Millis, Reader, WriteTx, lived_cutoff, millis, now};
use crate::registry::error::Error;
use crate::registry::facades::Gc;
use crate::registry::gc::deleted::{DeletedContent, ListedRepository};
use crate::registry::gc::progress::{Progress, Watcher};
use crate::registry::gc::run::{BUDGET, SweepOptions, SweepRun, gc_actor};
use crate::registry::gc::sweep_counts::{Sweep, SweepCounts};
use crate::registry::policy::keep_untagged::KeepUntagged;
use crate::registry::policy::retention::Retention;
use crate::registry::policy::tag_policy::is_signature;

/// Maximum depth of nested indexes collected in one sweep without a hold period.
const DEPTH: usize = 32;
/// Maximum number of candidates read at once.
const BATCH: usize = 500;
/// Free space kept in the database, which will need some again, in bytes.
const SPARE_SPACE: u64 = 256 * PAGE;
/// Space released in one change, in bytes.
const RELEASE_STEP: u64 = 64 * PAGE;
/// Unit of [`SweepCounts::pages`], in bytes.
const PAGE: u64 = 4096;

impl Gc<'_> {
    /// Collects everything that is due; logs and counts what cannot be collected.
    ///
    /// # Errors
    /// Database errors.
    pub async fn sweep(self, sweep: SweepOptions, watcher: Watcher<'_>) -> Result<Sweep, Error> {
        self.counted(self.run(None, sweep, watcher)).await
    }

    /// Removes deleted content, and ends its undo; then collects everything that is due.
    ///
    /// # Errors
    /// An export or another such collection is running; database errors.
    pub async fn collect_deleted(
        self,
        content: DeletedContent,
        sweep: SweepOptions,
        watcher: Watcher<'_>,
    ) -> Result<Sweep, Error> {
        let lock = self.registry.blobs.lock_blobs(DirectoryLock::Exclusive);
        let _lock = lock.map_err(Error::files("locking the blobs"))?.ok_or_else(|| {
            Error::Internal(
                "an export, which may need what was deleted, or another gc --now is running: try again when it has finished"
                    .to_owned(),
            )
        })?;
        self.counted(self.run(Some(content), sweep, watcher)).await
    }

    async fn counted(
        self,
        work: impl Future<Output = Result<Sweep, Error>>,
    ) -> Result<Sweep, Error> {
        let start = Instant::now();
        let outcome = work.await;
        let counts = outcome.as_ref().ok().map(|sweep| sweep.counts);
        self.registry.collection.count(start, counts);
        outcome
    }

    async fn run(
        self,
        deleted: Option<DeletedContent>,
        sweep: SweepOptions,
        watcher: Watcher<'_>,
    ) -> Result<Sweep, Error> {
        let mut run = SweepRun {
            registry: self.registry.clone(),
            sweep: Arc::new(sweep),
            progress: Progress::default(),
            by_rules: Vec::new(),
            budget: BUDGET,
            watcher,
        };
        self.registry.free_for_removal().await?;
        if let Some(deleted) = deleted {
            run.deleted(&deleted).await?;
        }
        run.tags().await?;
        run.evictions().await?;
        run.estimate(run.deferred_until()).await?;
        loop {
            let tags = run.progress.swept.tags;
            run.manifests().await?;
            run.trash().await?;
            // repeated where signatures lost their tags: without a hold period they are due at once
            if run.progress.swept.tags == tags || run.sweep.retention.hold_period() > 0 {
                break;
            }
        }
        run.history().await?;
        run.days().await?;
        // manifests are not counted any more: the remaining ones were checked
        run.estimate(Millis::MIN).await?;
        run.links().await?;
        run.estimate(Millis::MIN).await?;
        run.blobs().await?;
        run.estimate(Millis::MIN).await?;
        run.files().await?;
        run.pages().await?;
        Ok(Sweep {
            counts: run.progress.swept,
            by_rules: run.by_rules,
        })
    }
}

impl SweepRun<'_> {
    /// Moves due manifests to the trash.
    ///
    /// Content that only they referenced becomes idle now, and not due: a client may just have been
    /// told that it exists, which was not recorded while it was referenced.
    async fn manifests(&mut self) -> Result<(), Error> {
        let sweep = Arc::clone(&self.sweep);
        let expire = move |tx: &WriteTx<'_>, found: &meta::IdleManifest| {
            // checked again: it may have been referenced or pulled since
            let Some(manifest) = tx.idle_manifest(found.id)? else {
                return Ok(SweepCounts::default());
            };
            let now = now();
            // a referrer of a kept manifest, even of one that cannot hold it: checked again after a
            // hold period
            let due = if tx.has_tagged_subject(manifest.id)? {
                Some(now.saturating_add(sweep.retention.hold_period().max(1)))
            } else {
                sweep.retention.due(&manifest)
            };
            if due.is_some_and(|due| due <= now) {
                let actor = gc_actor(&reason(&sweep.retention, &manifest));
                tx.delete_manifest(manifest.id, &actor, now)?;
                return Ok(SweepCounts {
                    manifests: 1,
                    ..SweepCounts::default()
                });
            }
            if sweep.uses_server_rules {
                tx.defer_review(
                    manifest.id,
                    due.map_or(Millis::MAX, |due| {
                        due.saturating_sub(sweep.retention.hold_period())
                    }),
                )?;
            }
            Ok(SweepCounts::default())
        };
        // without a hold period a child is due with its index: repeated while something is removed,
        // up to the maximum depth; content released meanwhile waits for the next sweep, or this one
        // might not end
        let rounds = if self.sweep.retention.hold_period() > 0 {
            1
        } else {
            DEPTH
        };
        for _ in 0..rounds {
            let before = self.progress.swept.manifests;
            let (cutoff, put_off) = (self.cutoff(), self.deferred_until());
            self.for_each_due(
                move |meta, after| meta.idle_manifests(cutoff, put_off, after, BATCH),
                expire.clone(),
            )
            .await?;
            if self.progress.swept.manifests == before {
                break;
            }
        }
        Ok(())
    }

    async fn links(&mut self) -> Result<(), Error> {
        let cutoff = self.cutoff();
        let list = move |meta: &Reader<'_>, after| meta.idle_links(cutoff, after, BATCH);
        self.for_each_due(list, move |tx, link| {
            Ok(SweepCounts {
                links: u64::from(tx.delete_idle_link(link, cutoff)?),
                ..SweepCounts::default()
            })
        })
        .await
    }

    async fn blobs(&mut self) -> Result<(), Error> {
        let cutoff = self.cutoff();
        let list = move |meta: &Reader<'_>, after| meta.idle_blobs(cutoff, after, BATCH);
        self.for_each_due(list, move |tx, blob| {
            Ok(SweepCounts {
                blobs: u64::from(tx.delete_idle_blob(blob, cutoff)?),
                ..SweepCounts::default()
            })
        })
        .await
    }

    /// Empties the trash of manifests past the grace period.
    async fn trash(&mut self) -> Result<(), Error> {
        let cutoff = now().saturating_sub(millis(self.sweep.retention.grace));
        self.empty_trash(None, cutoff, None).await
    }

    /// Empties the trash, of one repository or of all, of manifests deleted by `cutoff`, and removes
    /// signature tags that name them; `by` is who does that before its time.
    pub(super) async fn empty_trash(
        &mut self,
        of: Option<&ListedRepository>,
        cutoff: Millis,
        by: Option<&Actor>,
    ) -> Result<(), Error> {
        let id = of.map(|repository| repository.id);
        while self
            .registry
            .scan(move |meta| meta.has_expired_trash(id, cutoff))
            .await?
        {
            let (of, by) = (of.cloned(), by.cloned());
            let emptied = self.write(move |tx| {
                let mut swept = SweepCounts::default();
                if let Some(repository) = &of
                    && tx.repository_name(repository.id)?.as_ref() != Some(&repository.name)
                {
                    return Ok(swept);
                }
                let emptied = tx.empty_trash(id, cutoff, BATCH / 10, by.as_ref(), now())?;
                for (repository, digest) in emptied {
                    swept.trash += 1;
                    if tx.manifest(repository, &digest)?.is_none() {
                        let prefix = digest.as_str().replace(':', "-");
                        for tag in tx
                            .tags_with_prefix(repository, &prefix)?
                            .iter()
                            .filter(|tag| is_signature(tag))
                        {
                            let actor = gc_actor("its image is gone");
                            swept.tags +=
                                u64::from(tx.delete_tag(repository, tag, &actor, now())?);
                        }
                    }
                    tx.drop_empty_repository(repository)?;
                }
                Ok::<_, Error>(swept)
            });
            let swept = emptied.await?;
            self.count(swept);
            if swept.trash == 0 {
                break;
            }
        }
        Ok(())
    }

    async fn history(&mut self) -> Result<(), Error> {
        let cutoff = lived_cutoff(now().saturating_sub(millis(self.sweep.retention.history)));
        while self
            .registry
            .scan(move |meta| meta.has_expired_undo_ends(cutoff))
            .await?
        {
            self.write(move |tx| Ok::<_, Error>(tx.forget_undo_ends(cutoff, BATCH)?))
                .await?;
        }
        while self
            .registry
            .scan(move |meta| meta.has_expired_history(cutoff))
            .await?
        {
            let forgotten = self
                .write(move |tx| Ok::<_, Error>(tx.forget_history(cutoff, BATCH / 5)?))
                .await?;
            self.count(SweepCounts {
                history: forgotten as u64,
                ..SweepCounts::default()
            });
        }
        Ok(())
    }

    /// Releases free space of the database to the file system.
    async fn pages(&mut self) -> Result<(), Error> {
        let database = self.registry.scan(|meta| meta.database_size()).await?;
        let mut rest = database.free.saturating_sub(SPARE_SPACE);
        while rest > 0 {
            let freed = self
                .write(move |tx| Ok::<_, Error>(tx.release_free_space(RELEASE_STEP.min(rest))?))
                .await?;
            if freed == 0 {
                break;
            }
            rest = rest.saturating_sub(freed);
            self.count(SweepCounts {
                pages: freed / PAGE,
                ..SweepCounts::default()
            });
        }
        Ok(())
    }
}

/// Returns the reason for which an unreferenced manifest is removed.
fn reason(retention: &Retention, manifest: &meta::IdleManifest) -> String {
    match retention.untagged_rule(&manifest.repository) {
        _ if manifest.has_lost_parent => "its index or subject is gone".to_owned(),
        KeepUntagged::For(time) if !time.is_zero() => {
            format!("untagged for {}", KeepUntagged::For(time))
        }
        KeepUntagged::For(_) | KeepUntagged::Forever => "untagged".to_owned(),
    }
}
