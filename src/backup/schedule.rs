//! The backups that a server makes by itself.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::backup::generations::Generations;
use crate::backup::outcome::{BackupProgress, BackupSummary};
use crate::backup::place::Destination;
use crate::backup::run::run;
use crate::events::EventKind;
use crate::registry::{Actor, BackupSettings, BackupState, CopyPace, NotedEvent, Registry};
use crate::threads::blocking;

/// Pause after a failed backup, unless backups are made more often.
const RETRY: Duration = Duration::from_secs(3600);
/// Maximum interval between two looks at the clock, which runs on while the machine sleeps.
const CLOCK_INTERVAL: Duration = Duration::from_secs(3600);
/// Minimum interval between two backups, whatever the configuration says.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum number of damaged blobs and manifests, and of incomplete images, that are logged.
const NAMED: usize = 10;

/// Makes backups as the settings say, until it is dropped.
pub async fn keep_going(registry: &Registry) {
    let mut has_failed = false;
    loop {
        let changed = registry.settings_changed();
        let Some(settings) = registry.settings().backup.clone() else {
            registry.backups().counters().set_state(BackupState::Idle);
            changed.await;
            continue;
        };
        let pause = match has_failed {
            true => RETRY.min(settings.every).max(MIN_INTERVAL),
            false => due_in(registry, &settings).await,
        };
        has_failed = false;
        if pause.is_zero() {
            has_failed = !attempt(registry, &settings).await;
        } else {
            let _ = tokio::time::timeout(pause.min(CLOCK_INTERVAL), changed).await;
        }
    }
}

/// Returns the time until the next backup is due: at once if that cannot be seen.
async fn due_in(registry: &Registry, settings: &BackupSettings) -> Duration {
    let Some(last) = newest(registry, settings).await else {
        return Duration::ZERO;
    };
    let every = settings.every.max(MIN_INTERVAL);
    let age = Timestamp::now().duration_since(last);
    // a backup from the future says nothing
    let age = Duration::try_from(age).unwrap_or_default();
    every.saturating_sub(age)
}

/// Returns the time of the newest backup, and records it; `None` if there is none, or that cannot be seen.
async fn newest(registry: &Registry, settings: &BackupSettings) -> Option<Timestamp> {
    let to = settings.to.clone();
    let found = blocking::run(move || Generations::new(&to).complete());
    let complete = found.await.ok()?.ok()?;
    let (last, _) = complete.last()?;
    let counters = registry.backups().counters();
    counters.last.set(last.as_millisecond());
    Some(*last)
}

/// Makes a backup; returns whether it is complete.
async fn attempt(registry: &Registry, settings: &BackupSettings) -> bool {
    let counters = registry.backups().counters();
    counters.set_state(BackupState::Running);
    let destination = Destination::Dated {
        to: settings.to.clone(),
        keep: settings.keep,
    };
    let begun = Instant::now();
    let made = run(
        registry,
        &destination,
        CopyPace::Half,
        &BackupProgress::default(),
    )
    .await;
    counters.times.observe_time(begun.elapsed());
    match made {
        Ok(summary) => {
            counters.completed.add(1);
            counters.copied_bytes.add(summary.copied_size);
            counters
                .damaged
                .set(i64::try_from(summary.damaged.len()).unwrap_or(i64::MAX));
            newest(registry, settings).await;
            counters.set_state(match summary.incomplete.count {
                _ if !summary.damaged.is_empty() => BackupState::Damaged,
                0 => BackupState::Complete,
                number => BackupState::Incomplete(number),
            });
            log(&summary);
            true
        }
        Err(error) => {
            counters.failed.add(1);
            counters.set_state(BackupState::Failed);
            let actor = Actor {
                name: Some("backup".to_owned()),
                ..Actor::default()
            };
            registry.outbox().note(NotedEvent {
                detail: Some(error.to_string()),
                ..NotedEvent::whole(EventKind::BackupFailed, actor)
            });
            tracing::error!(%error, "cannot make a backup; trying again in an hour at most");
            false
        }
    }
}

fn log(summary: &BackupSummary) {
    tracing::info!(
        directory = %summary.directory.display(),
        blobs = summary.blobs,
        bytes = summary.size,
        copied = summary.copied,
        copied_bytes = summary.copied_size,
        "made a backup in {:.1} s",
        summary.took.as_secs_f64()
    );
    if summary.is_same_disk {
        tracing::warn!(
            directory = %summary.directory.display(),
            "the backup is on the disk of the data directory, and is lost with it: name another disk in backup.to"
        );
    }
    for content in summary.damaged.iter().take(NAMED) {
        tracing::error!(
            digest = %content.digest,
            kind = content.kind.word(),
            problem = content.problem,
            kept = content.is_kept,
            "the backup is of a registry with damaged content: registry verify names its images"
        );
    }
    for image in summary.incomplete.named.iter().take(NAMED) {
        tracing::warn!(
            images = image.names().join(" "),
            problem = image.problem,
            "the backup has an image that cannot be pulled as a whole here either: push or import it again, or delete it"
        );
    }
}
