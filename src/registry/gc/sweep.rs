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

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::blob::KeptOpen;
use crate::meta::{self, Actor, Cursor, FIRST, Millis, Reader, Removal, WriteTx, now};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::gc::progress::{Progress, Watcher};
use crate::registry::gc::swept::SweepCounts;
use crate::registry::policy::retention::Retention;
use crate::registry::policy::retention::{is_signature, millis};
use crate::registry::service::Registry;
use crate::registry::slices::Gc;

/// How long one change may hold the database, before its commit: while nobody else wants it, and beside others, when
/// collection rests after each change as well.
const BUDGET: Duration = Duration::from_millis(2);
const SMALL_BUDGET: Duration = Duration::from_micros(400);
const REST: Duration = Duration::from_millis(10);
/// How many indexes, each naming the next one, go in one sweep at the most where nothing is held.
const DEPTH: usize = 32;
/// How many candidates are read at once.
const BATCH: usize = 500;
/// After how many files their removal is made durable, which costs a sync for each directory that they were in.
const SYNC_EVERY: usize = 20_000;
/// Free pages that are left to the database, which will need some again; of 4 KiB.
const SPARE_PAGES: u64 = 256;
/// How many pages are given back in one change.
const VACUUM_STEP: u64 = 64;

/// What a sweep goes by.
#[derive(Clone, Debug)]
pub struct SweepOptions {
    pub retention: Retention,
    /// The rules are those of the server here, so that what they put off need not be looked at again.
    pub uses_server_rules: bool,
}

/// A sweep under way.
pub(in crate::registry) struct SweepRun<'w> {
    pub(in crate::registry) registry: Registry,
    pub(in crate::registry) sweep: Arc<SweepOptions>,
    progress: Progress,
    /// For the next change.
    budget: Duration,
    watcher: Watcher<'w>,
}

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

    /// The rules of the server here, to go by in another process: this one's, or those that the last server recorded.
    pub async fn recorded_retention(self) -> Result<Option<Retention>, Error> {
        let text = self.retention_text().await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    async fn retention_text(self) -> Result<Option<String>, Error> {
        Ok(self
            .registry
            .meta
            .read(meta::point(|reader| reader.retention()))
            .await?)
    }

    /// Records this process's rules as those of the server here.
    pub async fn record_retention(self) -> Result<(), Error> {
        let text = serde_json::to_string(&self.registry.settings().retention)
            .map_err(|error| Error::Internal(error.to_string()))?;
        if self.retention_text().await?.as_ref() == Some(&text) {
            return Ok(());
        }
        self.registry
            .meta
            .write(move |tx| Ok(tx.set_retention(&text)?))
            .await
    }
}

/// Whom history names for what the registry does by itself.
pub(in crate::registry) fn gc_actor() -> Actor {
    Actor {
        name: Some("garbage collection".to_owned()),
        address: None,
        user_agent: None,
    }
}

impl SweepRun<'_> {
    pub(in crate::registry) fn count(&mut self, swept: SweepCounts) {
        self.progress.swept += swept;
        self.notify();
    }

    fn notify(&mut self) {
        if let Some(watcher) = &mut self.watcher {
            watcher(&self.progress);
        }
    }

    /// Counts what this sweep has before it, where somebody wants to know: through what there is to do, and no more.
    async fn estimate(&mut self, put_off: Millis) -> Result<(), Error> {
        if self.watcher.is_some() {
            let cutoff = self.cutoff();
            let ahead = self
                .registry
                .scan(move |meta| meta.count_due(cutoff, put_off))
                .await?;
            self.progress
                .expect(&ahead, self.sweep.retention.hold() > 0);
            self.notify();
        }
        Ok(())
    }

    /// Makes one change, and lets others go first where there are any.
    pub(in crate::registry) async fn write<T, F>(&mut self, change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, Error> + Send + 'static,
    {
        let look = move |tx: &WriteTx<'_>| change(tx).map(|done| (done, tx.is_contended()));
        let (done, is_contended) = self.registry.meta.write_lazily(look).await?;
        self.budget = if is_contended { SMALL_BUDGET } else { BUDGET };
        if is_contended {
            sleep(REST).await;
        }
        Ok(done)
    }

    /// Nothing that was needed or promised after this is due, whatever the rules say.
    fn cutoff(&self) -> Millis {
        now().saturating_sub(self.sweep.retention.hold())
    }

    /// Manifests that were put off beyond this are not looked at, unless it was by other rules than these.
    fn deferred_until(&self) -> Millis {
        if self.sweep.uses_server_rules {
            self.cutoff()
        } else {
            Millis::MAX
        }
    }

    /// Goes through a list, a batch at a time, and does something with each item, as many in one change as its budget
    /// allows. An item that fails takes back nothing but itself.
    async fn for_each_due<T, L, A>(&mut self, list: L, act: A) -> Result<(), Error>
    where
        T: Send + 'static,
        L: Fn(&Reader<'_>, Cursor) -> Result<Vec<(Cursor, T)>, meta::Error>
            + Clone
            + Send
            + 'static,
        A: Fn(&WriteTx<'_>, &T) -> Result<SweepCounts, Error> + Clone + Send + 'static,
    {
        let mut after = FIRST;
        loop {
            let list = list.clone();
            let found = self.registry.scan(move |meta| list(meta, after)).await?;
            let Some((last, _)) = found.last() else {
                return Ok(());
            };
            after = *last;
            self.apply_all(found.into_iter().map(|(_, item)| item), act.clone())
                .await?;
        }
    }

    /// Does something with each of several items, as many in one change as its budget allows.
    pub(in crate::registry) async fn apply_all<T, A>(
        &mut self,
        items: impl Iterator<Item = T>,
        act: A,
    ) -> Result<(), Error>
    where
        T: Send + 'static,
        A: Fn(&WriteTx<'_>, &T) -> Result<SweepCounts, Error> + Clone + Send + 'static,
    {
        let mut waiting: VecDeque<T> = items.collect();
        while !waiting.is_empty() {
            let (act, budget, before) = (act.clone(), self.budget, waiting.len());
            let (rest, swept) = self
                .write(move |tx| apply_batch(tx, waiting, act, budget))
                .await?;
            self.progress.advance(before - rest.len());
            waiting = rest;
            self.count(swept);
        }
        Ok(())
    }

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

    /// Removes the files of blobs that are gone.
    async fn files(&mut self) -> Result<(), Error> {
        let (mut after, mut unlinked) = (0, Vec::new());
        loop {
            let removals = self
                .registry
                .scan(move |meta| meta.removals(after, BATCH))
                .await?;
            let Some(last) = removals.last() else { break };
            after = last.id;
            let meta = self.registry.meta.clone();
            blocking(move || meta.sync())
                .await?
                .map_err(Error::files("syncing the database"))?;
            let mut waiting: VecDeque<Removal> = removals.into();
            while !waiting.is_empty() {
                let (registry, budget, before) =
                    (self.registry.clone(), self.budget, waiting.len());
                let (rest, done) = self
                    .write(move |tx| unlink_batch(tx, &registry, waiting, budget))
                    .await?;
                self.progress.advance(before - rest.len());
                waiting = rest;
                unlinked.extend(done.ids);
                self.count(done.swept);
                // the file system takes its time over a large file once nobody has it open: not inside the change
                blocking(move || drop(done.files)).await?;
            }
            if unlinked.len() >= SYNC_EVERY {
                self.forget_removals(std::mem::take(&mut unlinked)).await?;
            }
        }
        self.forget_removals(unlinked).await
    }

    async fn forget_removals(&mut self, ids: Vec<i64>) -> Result<(), Error> {
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

/// Does something with as many items as the budget allows; gives back the rest.
fn apply_batch<T, A>(
    tx: &WriteTx<'_>,
    mut waiting: VecDeque<T>,
    act: A,
    budget: Duration,
) -> Result<(VecDeque<T>, SweepCounts), Error>
where
    A: Fn(&WriteTx<'_>, &T) -> Result<SweepCounts, Error>,
{
    let begun = Instant::now();
    let mut swept = SweepCounts::default();
    while let Some(item) = waiting.pop_front() {
        match tx.attempt(|| act(tx, &item)) {
            Ok(done) => swept += done,
            Err(Error::StorageFull) => return Err(Error::StorageFull),
            Err(error) => {
                tracing::warn!(%error, "something could not be collected; going on with the next");
                swept.failures += 1;
            }
        }
        if begun.elapsed() >= budget {
            break;
        }
    }
    Ok((waiting, swept))
}

/// What removing some files came to.
#[derive(Default)]
struct Unlinked {
    /// Of the removals that are done.
    ids: Vec<i64>,
    /// Held open until the change is over.
    files: Vec<KeptOpen>,
    swept: SweepCounts,
}

fn unlink_batch(
    tx: &WriteTx<'_>,
    registry: &Registry,
    mut waiting: VecDeque<Removal>,
    budget: Duration,
) -> Result<(VecDeque<Removal>, Unlinked), Error> {
    let begun = Instant::now();
    let mut done = Unlinked::default();
    while let Some(removal) = waiting.pop_front() {
        // pushed again since: the file, which is then another one or the same, has a row
        let unlinked = if tx.blob(&removal.digest)?.is_some() {
            Ok(None)
        } else {
            registry.blobs.unlink_blob(&removal.digest)
        };
        match unlinked {
            Ok(file) => {
                registry.failed_removals.forget(&removal.digest);
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
