//! Fetching ahead from upstreams: tasks for each, as long as the configuration has it.

use std::sync::Arc;
use std::time::Duration;

use tarkeep::import::{SyncEnded, SyncOutcome, Syncer};
use tarkeep::mirror::{MirrorCounters, Mirrors, Synced};
use tarkeep::registry::{Registry, Relisted};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::cli::server::adoptions::walked;

/// Pause before what could not be recorded is recorded again.
const RETRY: Duration = Duration::from_secs(5);

/// Runs of one upstream, which end when this is dropped.
struct Syncing {
    counters: Arc<MirrorCounters>,
    _tasks: JoinSet<()>,
}

/// Fetches ahead what every configuration names.
pub(super) async fn run(mirrors: Mirrors, registry: Registry) {
    let mut syncing: Vec<Syncing> = Vec::new();
    loop {
        let changed = mirrors.changed();
        let all = mirrors.synced();
        // other settings of an upstream give it other counters
        syncing.retain(|one| {
            let is_same = |synced: &Synced| Arc::ptr_eq(&one.counters, &synced.counters);
            all.iter().any(is_same)
        });
        let syncers: Vec<_> = all
            .into_iter()
            .map(|synced| syncer(synced, &registry))
            .collect();
        // before any run, which ends when its rule is not recorded
        let recorded = syncers.iter().flat_map(|(syncer, _)| syncer.syncs());
        if let Err(error) = registry.upstreams().set_syncs(recorded.collect()).await {
            tracing::warn!(%error, "cannot record what is fetched ahead");
            let _ = tokio::time::timeout(RETRY, changed).await;
            continue;
        }
        for (syncer, counters) in syncers {
            if !syncing
                .iter()
                .any(|one| Arc::ptr_eq(&one.counters, &counters))
            {
                syncing.push(start(syncer, counters));
            }
        }
        changed.await;
    }
}

fn syncer(synced: Synced, registry: &Registry) -> (Syncer, Arc<MirrorCounters>) {
    let walked = walked(&synced.walked, synced.upstream, registry);
    let rules = synced.rules;
    (Syncer { walked, rules }, synced.counters)
}

fn start(syncer: Syncer, counters: Arc<MirrorCounters>) -> Syncing {
    let (sender, receiver) = unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(count(receiver, Arc::clone(&counters)));
    tasks.spawn(syncer.run(sender));
    Syncing {
        counters,
        _tasks: tasks,
    }
}

/// Counts the runs that have ended.
async fn count(mut ended: UnboundedReceiver<SyncEnded>, counters: Arc<MirrorCounters>) {
    while let Some(SyncEnded { outcome, relisted }) = ended.recv().await {
        for (name, Relisted { gone, returned }) in relisted {
            returned.iter().for_each(|tag| {
                counters.mark_present(&name, tag);
            });
            gone.iter().for_each(|tag| {
                counters.mark_gone(&name, tag);
            });
        }
        let counter = match outcome {
            SyncOutcome::Whole => &counters.whole_syncs,
            SyncOutcome::Partial => &counters.partial_syncs,
            SyncOutcome::Failed => &counters.failed_syncs,
        };
        counter.add(1);
    }
}
