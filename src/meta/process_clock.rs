//! The registry's time, which does not jump with the system's clock.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use rustix::time::{ClockId, clock_gettime};

use crate::meta::clock::Millis;
use crate::meta::timeline::{Reading, Timeline, is_step};

/// The clock as the database records it; `None` before its first record, when the system's counts.
///
/// One for the process, because that works on one data directory.
static CLOCK: ArcSwapOption<Timeline> = ArcSwapOption::const_empty();

/// Returns the current time: the system's, unless that has just jumped by more than a day.
pub fn now() -> Millis {
    match &*CLOCK.load() {
        Some(timeline) => timeline.time_at(&reading()),
        None => wall(),
    }
}

/// Moves a recorded time ahead by what the clock has skipped since, so that its age is the time that has been lived.
pub fn lived(time: Millis) -> Millis {
    CLOCK
        .load()
        .as_ref()
        .map_or(time, |timeline| timeline.lived(time))
}

/// Returns the recorded time that has the age of `cutoff`.
pub fn lived_cutoff(cutoff: Millis) -> Millis {
    CLOCK
        .load()
        .as_ref()
        .map_or(cutoff, |timeline| timeline.cutoff(cutoff))
}

/// Returns a time that was noted a moment ago, or the present if the clock has jumped since.
pub(in crate::meta) fn since_jump(time: Millis) -> Millis {
    let now = now();
    if is_step(now.saturating_sub(time)) {
        time
    } else {
        now
    }
}

/// Follows the recorded clock from now on.
pub(in crate::meta) fn follow(timeline: Option<Timeline>) {
    CLOCK.store(timeline.map(Arc::new));
}

/// Reads the system's clocks.
pub(in crate::meta) fn reading() -> Reading<'static> {
    let uptime = clock_gettime(ClockId::Boottime);
    Reading {
        wall: wall(),
        uptime: uptime.tv_sec.saturating_mul(1000) + uptime.tv_nsec / 1_000_000,
        boot: boot(),
    }
}

fn wall() -> Millis {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis::try_from(since_epoch.as_millis()).unwrap_or(Millis::MAX)
}

/// Identifier of this boot; empty if the system has none, and then no boot is known to be the same.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        text.trim().to_owned()
    })
}
