//! What a server does by itself: it collects what nobody needs, clears what crashes left, and records pulls.
//!
//! A caller of the operations, beside HTTP and the command line. All of it may die with the process at any moment.

use std::time::Duration;

use crate::registry::{Error, Registry, Sweep, Swept};

/// How often uploads are looked through for what crashes left; sessions that are over are collected in every pass.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(3600);
/// Passes follow each other no faster than this, whatever the configuration says.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(5);
/// How long a pull may stay unrecorded.
const PULLS_INTERVAL: Duration = Duration::from_secs(10);

/// Works until it is dropped.
pub async fn run(registry: &Registry) {
    tokio::join!(reconcile(registry), collect(registry), record_pulls(registry));
}

async fn reconcile(registry: &Registry) {
    let mut rounds = tokio::time::interval(RECONCILE_INTERVAL);
    loop {
        rounds.tick().await;
        match registry.reconcile().await {
            Ok(cleared) if cleared != Default::default() => {
                tracing::info!(expired = cleared.expired, files = cleared.files, orphans = cleared.orphans, "cleared left-over uploads");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "left-over uploads could not be cleared; trying again in an hour"),
        }
    }
}

async fn collect(registry: &Registry) {
    let retention = &registry.settings().retention;
    if let Err(error) = registry.record_retention().await {
        tracing::warn!(%error, "the rules for collection could not be recorded for other commands");
    }
    if !retention.enabled {
        return;
    }
    let mut failures = 0;
    loop {
        match pass(registry).await {
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
            Err(error) => tracing::warn!(%error, "garbage could not be collected; trying again in the next round"),
        }
        tokio::time::sleep(retention.interval.max(SHORTEST_INTERVAL)).await;
    }
}

/// Whether somebody may look for it in the log, rather than find the log full of it: what failed in the pass before as well
/// is no news.
fn is_worth_a_word(swept: &Swept, failures_before: u64) -> bool {
    swept.tags + swept.manifests + swept.blobs + swept.files > 0 || swept.failures != failures_before
}

async fn pass(registry: &Registry) -> Result<Swept, Error> {
    // what was pulled a moment ago counts as needed; a disk too full for that is no reason not to collect
    if let Err(error) = registry.record_pulls().await {
        tracing::warn!(%error, "some pulls could not be recorded");
    }
    let sweep = Sweep { retention: registry.settings().retention.clone(), is_ordinary: true };
    registry.sweep(sweep, None).await
}

async fn record_pulls(registry: &Registry) {
    loop {
        tokio::time::sleep(PULLS_INTERVAL).await;
        if let Err(error) = registry.record_pulls().await {
            tracing::warn!(%error, "some pulls could not be recorded");
        }
    }
}
