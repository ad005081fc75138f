//! A sweep in progress: its counts, and small transactions that let other writers proceed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::meta::{self, Actor, Cursor, Millis, Reader, WriteTx, now};
use crate::registry::error::Error;
use crate::registry::gc::progress::{Progress, Watcher};
use crate::registry::gc::sweep_counts::{RemovedByRule, SweepCounts};
use crate::registry::policy::retention::Retention;
use crate::registry::service::Registry;

/// Maximum duration of one transaction, before its commit, while no other writer waits.
pub(super) const BUDGET: Duration = Duration::from_millis(2);
const SMALL_BUDGET: Duration = Duration::from_micros(400);
const REST: Duration = Duration::from_millis(10);

/// Process that sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepBy {
    Server,
    /// A command, which does not know what clients pull just now.
    Command,
}

/// Options of a sweep.
#[derive(Clone, Debug)]
pub struct SweepOptions {
    pub by: SweepBy,
    pub retention: Retention,
    /// True if the rules are those of the running server, so that decisions it deferred are not
    /// repeated.
    pub uses_server_rules: bool,
}

/// A sweep in progress.
pub(in crate::registry) struct SweepRun<'w> {
    pub(super) registry: Registry,
    pub(super) sweep: Arc<SweepOptions>,
    pub(super) progress: Progress,
    pub(super) by_rules: Vec<RemovedByRule>,
    /// Maximum duration of the next transaction.
    pub(super) budget: Duration,
    pub(super) watcher: Watcher<'w>,
}

/// The actor of garbage collection, with the reason in its name, for tag history and the trash.
pub(in crate::registry) fn gc_actor(reason: &str) -> Actor {
    Actor {
        name: Some(format!("garbage collection ({reason})")),
        is_rule: true,
        ..Actor::default()
    }
}

impl SweepRun<'_> {
    pub(in crate::registry) fn count(&mut self, swept: SweepCounts) {
        self.progress.swept += swept;
        self.notify();
    }

    pub(super) fn notify(&mut self) {
        if let Some(watcher) = &mut self.watcher {
            watcher(&self.progress);
        }
    }

    /// Estimates the remaining work, if somebody watches; cost grows with that work.
    pub(super) async fn estimate(&mut self, put_off: Millis) -> Result<(), Error> {
        if self.watcher.is_some() {
            let cutoff = self.cutoff();
            let ahead = self
                .registry
                .scan(move |meta| meta.count_due(cutoff, put_off))
                .await?;
            self.progress
                .expect(&ahead, self.sweep.retention.hold_period());
            self.notify();
        }
        Ok(())
    }

    /// Runs one transaction, then yields if other writers wait.
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

    /// Cutoff: content used or promised after this time is never due, whatever the rules say.
    pub(super) fn cutoff(&self) -> Millis {
        now().saturating_sub(self.sweep.retention.hold_period())
    }

    /// Limit of deferral: manifests deferred beyond it are skipped, unless other rules apply.
    pub(super) fn deferred_until(&self) -> Millis {
        if self.sweep.uses_server_rules {
            self.cutoff()
        } else {
            Millis::MAX
        }
    }

    /// Applies an operation to each item of a list, in batches that fit the budget.
    ///
    /// A failing item rolls back only its own change.
    pub(super) async fn for_each_due<T, L, A>(&mut self, list: L, act: A) -> Result<(), Error>
    where
        T: Send + 'static,
        L: Fn(&Reader<'_>, Cursor) -> Result<Vec<(Cursor, T)>, meta::Error>
            + Clone
            + Send
            + 'static,
        A: Fn(&WriteTx<'_>, &T) -> Result<SweepCounts, Error> + Clone + Send + 'static,
    {
        let mut after = Cursor::START;
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

    /// Applies an operation to each item, in transactions that fit the budget.
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
}

/// Applies an operation to items until the budget is spent; returns the rest.
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
            Err(Error::StorageFull(shortage)) => return Err(Error::StorageFull(shortage)),
            Err(error) => {
                tracing::warn!(%error, "cannot collect an item; continuing with the next");
                swept.failures += 1;
            }
        }
        if begun.elapsed() >= budget {
            break;
        }
    }
    Ok((waiting, swept))
}
