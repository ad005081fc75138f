//! Holding the outbox within its bounds.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::meta::{OutboxBounds, PruneStep, WriteTx, lived_cutoff, millis, now};
use crate::registry::error::Error;
use crate::registry::facades::Outbox;

/// Maximum number of pulls in the outbox, which clients make many of.
const MOST_PULLS: u64 = 20_000;
/// Maximum number of other events.
const MOST_OTHERS: u64 = 100_000;
/// Number of events that are kept after everybody was told of them.
const TOLD: i64 = 10_000;
/// Maximum age of an event.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Maximum number of events removed in one change.
const AT_ONCE: usize = 250;
/// Rest between two of these changes.
const REST: Duration = Duration::from_millis(10);

impl Outbox<'_> {
    /// Removes what is beyond the bounds of the outbox, the oldest first, a few at a time, until all of it is gone.
    pub async fn prune(self) -> Result<(), Error> {
        let mut lost = 0;
        let outcome = self.prune_all(&mut lost).await;
        if lost > 0 {
            self.registry.outbox_counters.lost.add(lost);
            tracing::warn!(
                deliveries = lost,
                "the outbox is full, or an endpoint failed for a month: the oldest events are dropped"
            );
        }
        outcome
    }

    async fn prune_all(self, lost: &mut u64) -> Result<(), Error> {
        let pruned = &self.registry.notes.pruned;
        loop {
            let bounds = OutboxBounds {
                pulls: MOST_PULLS,
                others: MOST_OTHERS,
                told: TOLD,
                told_from: pruned.load(Ordering::Relaxed),
                cutoff: lived_cutoff(now().saturating_sub(millis(MAX_AGE))),
                at_once: AT_ONCE,
            };
            let next = self
                .registry
                .scan(move |reader| reader.prune_step(&bounds))
                .await?;
            let Some(step) = next else {
                return Ok(());
            };
            let prune = move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.prune(step)?);
            *lost += self.registry.meta.write_lazily(prune).await?;
            if let PruneStep::Told { to, .. } = step {
                pruned.store(to + 1, Ordering::Relaxed);
            }
            tokio::time::sleep(REST).await;
        }
    }
}
