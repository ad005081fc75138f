//! What a server does by itself: it collects what nobody needs, clears what crashes left, and records pulls.
//!
//! A caller of the operations, beside HTTP and the command line. All of it may die with the process at any moment.

use std::time::Duration;

use crate::registry::{Error, Registry, Retention, SweepCounts, SweepOptions};

/// How often uploads are looked through for what crashes left.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(3600);
/// Passes follow each other no faster than this, whatever the configuration says.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(5);
/// How long a pull may stay unrecorded.
const PULLS_INTERVAL: Duration = Duration::from_secs(10);

/// Works until it is dropped.
pub async fn run(registry: &Registry) {
    tokio::join!(uploads(registry), collect(registry), record_pulls(registry));
}

async fn uploads(registry: &Registry) {
    let mut rounds = tokio::time::interval(RECONCILE_INTERVAL);
    rounds.tick().await;
    // first, because it holds the files that it looks at, and purging passes those over
    reconcile(registry).await;
    let reconcile = async {
        loop {
            rounds.tick().await;
            reconcile(registry).await;
        }
    };
    tokio::join!(reconcile, purge(registry));
}

async fn reconcile(registry: &Registry) {
    match registry.uploads().recover().await {
        Ok(cleared) if cleared != Default::default() => {
            tracing::info!(
                files = cleared.files,
                orphans = cleared.orphans,
                "cleared left-over uploads"
            );
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(%error, "left-over uploads could not be cleared; trying again in an hour")
        }
    }
}

async fn purge(registry: &Registry) {
    loop {
        let changed = registry.settings_changed();
        match registry.uploads().expire().await {
            Ok(0) => {}
            Ok(uploads) => tracing::info!(uploads, "purged uploads that were over"),
            Err(error) => {
                tracing::warn!(%error, "uploads that are over could not be purged; trying again in the next round")
            }
        }
        let _ = tokio::time::timeout(
            registry
                .settings()
                .upload_expiry
                .interval
                .max(SHORTEST_INTERVAL),
            changed,
        )
        .await;
    }
}

async fn collect(registry: &Registry) {
    let mut failures = 0;
    let mut recorded = None;
    loop {
        let changed = registry.settings_changed();
        let retention = registry.settings().retention.clone();
        if recorded.as_ref() != Some(&retention) {
            if let Err(error) = registry.gc().record_retention().await {
                tracing::warn!(%error, "the rules for collection could not be recorded for other commands");
            }
            recorded = Some(retention.clone());
        }
        if !retention.enabled {
            changed.await;
            continue;
        }
        match pass(registry, retention.clone()).await {
            Ok(swept) => {
                if is_worth_a_word(&swept, failures) {
                    tracing::info!(
                        tags = swept.tags,
                        manifests = swept.manifests,
                        blobs = swept.blobs,
                        files = swept.files,
                        bytes = swept.bytes,
                        failures = swept.failures,
                        "collected garbage"
                    );
                }
                failures = swept.failures;
            }
            Err(error) => {
                tracing::warn!(%error, "garbage could not be collected; trying again in the next round")
            }
        }
        // a shorter interval need not wait for the end of a longer one
        let _ = tokio::time::timeout(retention.interval.max(SHORTEST_INTERVAL), changed).await;
    }
}

/// Whether somebody may look for it in the log, rather than find the log full of it: what failed in the pass before as well
/// is no news.
fn is_worth_a_word(swept: &SweepCounts, failures_before: u64) -> bool {
    swept.tags + swept.manifests + swept.blobs + swept.files > 0
        || swept.failures != failures_before
}

async fn pass(registry: &Registry, retention: Retention) -> Result<SweepCounts, Error> {
    // what was pulled a moment ago counts as needed; a disk too full for that is no reason not to collect
    if let Err(error) = registry.manifests().record_pulls().await {
        tracing::warn!(%error, "some pulls could not be recorded");
    }
    registry
        .gc()
        .sweep(
            SweepOptions {
                retention,
                uses_server_rules: true,
            },
            None,
        )
        .await
}

async fn record_pulls(registry: &Registry) {
    loop {
        tokio::time::sleep(PULLS_INTERVAL).await;
        if let Err(error) = registry.manifests().record_pulls().await {
            tracing::warn!(%error, "some pulls could not be recorded");
        }
    }
}
