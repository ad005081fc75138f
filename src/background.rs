//! Background work of a server: garbage collection, upload expiry and recovery, recording of pulls, backups.
//!
//! A caller of the operations, like HTTP and the command line. All of it may die with the process
//! at any moment.

use std::sync::Arc;
use std::time::Duration;

use jiff::fmt::friendly::SpanPrinter;

use crate::backup;
use crate::registry::{
    BlobCheck, Error, Jump, Millis, Pace, Registry, Retention, SweepBy, SweepCounts, SweepOptions,
    UnsoundBlob,
};

/// Interval at which uploads are checked for what crashes left.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(3600);
/// Interval between two checks of blobs that were taken over and could not be read.
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);
/// Maximum time from the start of a server to its verification.
const MAX_SETTLING: Duration = Duration::from_secs(600);
/// Pause before a verification that failed is repeated, and between two looks at whether one is due.
const VERIFY_RETRY: Duration = Duration::from_secs(3600);
/// Minimum interval between rounds, whatever the configuration says.
const MIN_INTERVAL: Duration = Duration::from_millis(5);
/// Maximum interval between two looks at the clock.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);
/// Interval between two looks for a collection that asks which pushes are under way.
const PROMISES_INTERVAL: Duration = Duration::from_millis(500);
/// Interval at which old rows of the audit log are deleted.
const AUDIT_INTERVAL: Duration = Duration::from_secs(3600);
/// Interval at which repositories are put under quotas that no push has put there.
const QUOTA_INTERVAL: Duration = Duration::from_secs(3600);
/// Maximum time for which a pull stays unrecorded.
const PULLS_INTERVAL: Duration = Duration::from_secs(10);

/// Works until it is dropped.
pub async fn run(registry: &Registry) {
    let mut watch = ClockWatch::default();
    // first, because what follows removes what is due
    watch.look(registry).await;
    tokio::join!(
        uploads(registry),
        collect(registry),
        check_content(registry),
        record_uses(registry),
        backup::keep_going(registry),
        write_promises(registry),
        forget_audit(registry),
        assign_quotas(registry),
        watch.run(registry)
    );
}

/// Watch over the system's clock, which may jump.
#[derive(Default)]
struct ClockWatch {
    is_behind: bool,
}

impl ClockWatch {
    async fn run(mut self, registry: &Registry) {
        loop {
            let interval = registry.settings().retention.interval;
            tokio::time::sleep(interval.clamp(MIN_INTERVAL, CLOCK_INTERVAL)).await;
            self.look(registry).await;
        }
    }

    /// Follows the clock, and logs its jumps.
    async fn look(&mut self, registry: &Registry) {
        let state = match registry.gc().follow_clock().await {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(%error, "cannot follow the clock; retention goes on as before");
                return;
            }
        };
        match state.jump {
            Some(Jump::Ahead(by)) => tracing::warn!(
                by = %length(by),
                "the clock is ahead of its last record: it was set, or the machine was off; this time does not count for retention"
            ),
            Some(Jump::Back(by)) => tracing::warn!(
                by = %length(by),
                "the clock is back from a time ahead; recorded times are corrected"
            ),
            Some(Jump::Confirmed(by)) => tracing::warn!(
                by = %length(by),
                "the clock is set back, as confirmed; recorded times are corrected"
            ),
            None => {}
        }
        if let Some(lag) = state.lag.filter(|_| !self.is_behind) {
            tracing::warn!(
                by = %length(lag),
                "the system's clock is behind the registry's, which goes on by itself; if the system's is right: registry gc --accept-clock"
            );
        }
        self.is_behind = state.lag.is_some();
    }
}

/// Formats a length of time for the log.
fn length(time: Millis) -> String {
    let time = Duration::from_millis(time.unsigned_abs());
    SpanPrinter::new().unsigned_duration_to_string(&Duration::from_secs(time.as_secs()))
}

/// Checks blobs first that were taken over, because that reads much of what verification would; then verifies.
async fn check_content(registry: &Registry) {
    let is_checked = check_imported(registry).await;
    let check_again = async {
        let mut is_checked = is_checked;
        while !is_checked {
            tokio::time::sleep(CHECK_INTERVAL).await;
            is_checked = check_imported(registry).await;
        }
    };
    tokio::join!(verify(registry), check_again);
}

/// Checks the blobs of a store that was taken over; returns false if some are left.
async fn check_imported(registry: &Registry) -> bool {
    let log = &mut |_: &BlobCheck, unsound: Option<UnsoundBlob>| {
        if let Some(unsound) = unsound {
            unsound.log();
        }
    };
    match registry.import().check_blobs(Pace::Yielding, log).await {
        Ok(checked) => {
            if checked != BlobCheck::default() {
                tracing::info!(
                    sound = checked.sound,
                    damaged = checked.damaged,
                    unreadable = checked.unreadable,
                    "checked the blobs that were taken over"
                );
            }
            checked.unreadable == 0
        }
        Err(error) => {
            tracing::warn!(%error, "cannot check the blobs that were taken over; continuing in an hour");
            false
        }
    }
}

/// Verifies everything that is stored, from time to time.
async fn verify(registry: &Registry) {
    loop {
        let changed = registry.settings_changed();
        let schedule = registry.settings().verify;
        if !schedule.enabled {
            changed.await;
            continue;
        }
        // whoever has just started is busy
        let settling = (schedule.every / 100).clamp(MIN_INTERVAL, MAX_SETTLING);
        let pause = match registry.verify().due_in(schedule.every).await {
            Ok(due) => due.max(settling),
            Err(error) => {
                tracing::warn!(%error, "cannot find out when verification is due; trying again in an hour");
                VERIFY_RETRY
            }
        };
        if tokio::time::timeout(pause.min(VERIFY_RETRY), changed)
            .await
            .is_ok()
            || pause > VERIFY_RETRY
        {
            continue;
        }
        tokio::select! {
            () = verify_once(registry) => {}
            // it goes on where it was once that is enabled again
            () = verification_disabled(registry) => {}
        }
    }
}

async fn verify_once(registry: &Registry) {
    match registry.verify().run_in_background().await {
        Ok(verified) if verified.damaged > 0 => tracing::error!(
            blobs = verified.blobs,
            bytes = verified.size,
            manifests = verified.manifests,
            damaged = verified.damaged,
            "verified everything that is stored, and found damage"
        ),
        Ok(verified) if verified.blobs > 0 => tracing::info!(
            blobs = verified.blobs,
            bytes = verified.size,
            manifests = verified.manifests,
            "verified everything that is stored"
        ),
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(%error, "cannot verify what is stored; trying again in an hour");
            tokio::time::sleep(VERIFY_RETRY).await;
        }
    }
}

async fn verification_disabled(registry: &Registry) {
    loop {
        let changed = registry.settings_changed();
        if !registry.settings().verify.enabled {
            return;
        }
        changed.await;
    }
}

async fn uploads(registry: &Registry) {
    let mut rounds = tokio::time::interval(RECOVERY_INTERVAL);
    rounds.tick().await;
    // first, because it locks the files that it checks, and expiry skips locked files
    recover(registry).await;
    let recover = async {
        loop {
            rounds.tick().await;
            recover(registry).await;
        }
    };
    tokio::join!(recover, expire(registry));
}

async fn recover(registry: &Registry) {
    match registry.uploads().recover().await {
        Ok(cleared) if cleared != Default::default() => {
            tracing::info!(
                files = cleared.files,
                orphans = cleared.orphans,
                "removed orphaned uploads"
            );
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(%error, "cannot remove orphaned uploads; retrying in an hour")
        }
    }
}

async fn expire(registry: &Registry) {
    loop {
        let changed = registry.settings_changed();
        match registry.uploads().expire().await {
            Ok(0) => {}
            Ok(uploads) => tracing::info!(uploads, "removed expired uploads"),
            Err(error) => {
                tracing::warn!(%error, "cannot remove expired uploads; retrying in the next round")
            }
        }
        let _ = tokio::time::timeout(
            registry.settings().upload_expiry.interval.max(MIN_INTERVAL),
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
        let settings = registry.settings();
        let retention = settings.retention.clone();
        if recorded
            .as_ref()
            .is_none_or(|recorded| !Arc::ptr_eq(recorded, &settings))
        {
            if let Err(error) = registry.gc().record_rules().await {
                tracing::warn!(%error, "cannot record the rules for other commands");
            }
            recorded = Some(settings);
        }
        if !retention.enabled {
            changed.await;
            continue;
        }
        match pass(registry, retention.clone()).await {
            Ok(swept) => {
                if is_worth_logging(&swept, failures) {
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
                tracing::warn!(%error, "cannot collect garbage; retrying in the next round")
            }
        }
        // a shorter interval takes effect before the current one ends
        let _ = tokio::time::timeout(retention.interval.max(MIN_INTERVAL), changed).await;
    }
}

/// Reports whether a sweep is worth a log line: something was removed, or the number of failures
/// changed.
fn is_worth_logging(swept: &SweepCounts, failures_before: u64) -> bool {
    swept.tags + swept.manifests + swept.blobs + swept.files > 0
        || swept.failures != failures_before
}

async fn pass(registry: &Registry, retention: Retention) -> Result<SweepCounts, Error> {
    // recent pulls keep content; failing to record them on a full disk must not prevent collection
    if let Err(error) = registry.manifests().record_uses().await {
        tracing::warn!(%error, "cannot record some pulls");
    }
    let options = SweepOptions {
        by: SweepBy::Server,
        retention,
        uses_server_rules: true,
    };
    Ok(registry.gc().sweep(options, None).await?.counts)
}

async fn write_promises(registry: &Registry) {
    loop {
        tokio::time::sleep(PROMISES_INTERVAL).await;
        if let Err(error) = registry.gc().write_promises().await {
            tracing::warn!(%error, "cannot tell a collection which pushes are under way");
        }
    }
}

/// Deletes rows of the audit log that are too old, and logins to the page that have ended.
async fn forget_audit(registry: &Registry) {
    loop {
        let changed = registry.settings_changed();
        if let Err(error) = registry.audit().forget().await {
            tracing::warn!(%error, "cannot delete old rows of the audit log; retrying in an hour");
        }
        if let Err(error) = registry.sessions().forget().await {
            tracing::warn!(%error, "cannot delete logins that have ended; retrying in an hour");
        }
        let _ = tokio::time::timeout(AUDIT_INTERVAL, changed).await;
    }
}

/// Puts repositories under their quotas: at a start, when the quotas change, and those that no push has put there.
async fn assign_quotas(registry: &Registry) {
    loop {
        let changed = registry.settings_changed();
        if let Err(error) = registry.quotas().assign().await {
            tracing::warn!(%error, "cannot count what repositories hold of their quotas; retrying in an hour");
        }
        let _ = tokio::time::timeout(QUOTA_INTERVAL, changed).await;
    }
}

async fn record_uses(registry: &Registry) {
    loop {
        tokio::time::sleep(PULLS_INTERVAL).await;
        if let Err(error) = registry.manifests().record_uses().await {
            tracing::warn!(%error, "cannot record some pulls");
        }
        if let Err(error) = registry.tokens().record_uses().await {
            tracing::warn!(%error, "cannot record the last uses of some tokens");
        }
        if let Err(error) = registry.audit().record_refused().await {
            tracing::warn!(%error, "cannot record refused logins");
        }
    }
}
