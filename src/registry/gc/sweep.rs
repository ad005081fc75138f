//! Collecting what nobody needs, in small changes beside everything else: no pause, no lock but the database's own, and
//! that for a few milliseconds at a time.
//!
//! A candidate is found by a query over what nothing holds, and judged again inside the change that removes it: a push, a
//! promise or a pull in between saves it. A blob's row goes first, with a note of its file; the file goes in a later
//! change, which looks again whether a row has come back; the note goes once the file's removal is on disk. Whatever
//! point a crash comes at, nothing is lost that has a row, and nothing without a row is forgotten.
//!
//! None of this waits for the disk, for it would all be done again; but before a file is touched, what says that its blob
//! is gone must be durable.

use std::sync::Arc;
use std::time::Instant;

use crate::meta::{self, Millis, Reader, WriteTx, millis, now};
use crate::registry::error::Error;
use crate::registry::gc::progress::{Progress, Watcher};
use crate::registry::gc::run::{BUDGET, SweepOptions, SweepRun, gc_actor};
use crate::registry::gc::swept::SweepCounts;
use crate::registry::policy::tag_policy::is_signature;
use crate::registry::slices::Gc;

/// How many indexes, each naming the next one, go in one sweep at the most where nothing is held.
const DEPTH: usize = 32;
/// How many candidates are read at once.
const BATCH: usize = 500;
/// Free pages that are left to the database, which will need some again; of 4 KiB.
const SPARE_PAGES: u64 = 256;
/// How many pages are given back in one change.
const VACUUM_STEP: u64 = 64;

impl Gc<'_> {
    /// Collects all that is due. What cannot be collected is logged, counted and passed over.
    ///
    /// # Errors
    /// Where the database itself cannot be read or changed.
    pub async fn sweep(
        self,
        sweep: SweepOptions,
        watcher: Watcher<'_>,
    ) -> Result<SweepCounts, Error> {
        let start = Instant::now();
        let outcome = self.run(sweep, watcher).await;
        self.registry.collection.count(start, &outcome);
        outcome
    }

    async fn run(self, sweep: SweepOptions, watcher: Watcher<'_>) -> Result<SweepCounts, Error> {
        let mut run = SweepRun {
            registry: self.registry.clone(),
            sweep: Arc::new(sweep),
            progress: Progress::default(),
            budget: BUDGET,
            watcher,
        };
        run.tags().await?;
        run.estimate(run.deferred_until()).await?;
        loop {
            let tags = run.progress.swept.tags;
            run.manifests().await?;
            run.trash().await?;
            // again where signatures lost their tags: they are manifests, too, and due at once where nothing is held
            if run.progress.swept.tags == tags || run.sweep.retention.hold() > 0 {
                break;
            }
        }
        run.history().await?;
        // no manifests any more: those that are left were looked at
        run.estimate(Millis::MIN).await?;
        run.links().await?;
        run.estimate(Millis::MIN).await?;
        run.blobs().await?;
        run.estimate(Millis::MIN).await?;
        run.files().await?;
        run.pages().await?;
        Ok(run.progress.swept)
    }
}

impl SweepRun<'_> {
    /// Moves manifests that are due to the trash. What only they held is idle from now on: a client may have been told a
    /// moment ago that it is there, or have moved its tag, and nothing was noted then because it was held.
    async fn manifests(&mut self) -> Result<(), Error> {
        let sweep = Arc::clone(&self.sweep);
        let expire = move |tx: &WriteTx<'_>, found: &meta::IdleManifest| {
            // judged again: it may have been needed, or pulled, since it was found
            let Some(manifest) = tx.idle_manifest(found.id)? else {
                return Ok(SweepCounts::default());
            };
            let now = now();
            // a referrer of something kept, even where that cannot hold it: looked at again after a hold
            let due = if tx.is_about_tagged(manifest.id)? {
                Some(now.saturating_add(sweep.retention.hold().max(1)))
            } else {
                sweep.retention.due(&manifest)
            };
            if due.is_some_and(|due| due <= now) {
                tx.delete_manifest(manifest.id, &gc_actor(), now)?;
                return Ok(SweepCounts {
                    manifests: 1,
                    ..SweepCounts::default()
                });
            }
            if sweep.uses_server_rules {
                tx.put_off(
                    manifest.id,
                    due.map_or(Millis::MAX, |due| {
                        due.saturating_sub(sweep.retention.hold())
                    }),
                )?;
            }
            Ok(SweepCounts::default())
        };
        // where nothing is held any longer, a child is due with its index: again while something goes, for as many indexes as
        // may name each other in a row. Where something is, that comes later. What clients let go meanwhile is for the next
        // sweep, or this one might have no end
        let rounds = if self.sweep.retention.hold() > 0 {
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

    /// Forgets deleted manifests that were to be kept for the grace period only, and with them the tags by which
    /// signatures name them, unless they have come back.
    async fn trash(&mut self) -> Result<(), Error> {
        let cutoff = now().saturating_sub(millis(self.sweep.retention.grace));
        while self
            .registry
            .scan(move |meta| meta.has_memories(cutoff, Millis::MIN))
            .await?
            .0
        {
            let emptied = self.write(move |tx| {
                let mut swept = SweepCounts::default();
                for (repository, digest) in tx.empty_trash(cutoff, BATCH / 10)? {
                    swept.trash += 1;
                    if tx.manifest(repository, &digest)?.is_none() {
                        let prefix = digest.as_str().replace(':', "-");
                        for tag in tx
                            .tags_with_prefix(repository, &prefix)?
                            .iter()
                            .filter(|tag| is_signature(tag))
                        {
                            swept.tags +=
                                u64::from(tx.delete_tag(repository, tag, &gc_actor(), now())?);
                        }
                    }
                    tx.drop_empty_repository(repository)?;
                }
                Ok::<_, Error>(swept)
            });
            let swept = emptied.await?;
            self.count(swept);
        }
        Ok(())
    }

    async fn history(&mut self) -> Result<(), Error> {
        let cutoff = now().saturating_sub(millis(self.sweep.retention.history));
        while self
            .registry
            .scan(move |meta| meta.has_memories(Millis::MIN, cutoff))
            .await?
            .1
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

    /// Gives the database's own free pages back.
    async fn pages(&mut self) -> Result<(), Error> {
        let (free, _) = self.registry.scan(|meta| meta.free_pages()).await?;
        let mut rest = free.saturating_sub(SPARE_PAGES);
        while rest > 0 {
            let freed = self
                .write(move |tx| Ok::<_, Error>(tx.vacuum(VACUUM_STEP.min(rest))?))
                .await?;
            if freed == 0 {
                break;
            }
            rest = rest.saturating_sub(freed as u64);
            self.count(SweepCounts {
                pages: freed as u64,
                ..SweepCounts::default()
            });
        }
        Ok(())
    }
}
