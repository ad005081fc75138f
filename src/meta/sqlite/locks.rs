//! Waiting for locks that other processes hold.

use std::cell::Cell;
use std::time::Duration;

/// Pause between two attempts to get a lock that another process holds: short at first, because a change takes a
/// millisecond or two. SQLite's own handler doubles its pauses, and so waits for many times as long as the other works.
const BUSY_PAUSE: Duration = Duration::from_micros(50);
const BUSY_SOON: i32 = 200;
const BUSY_LONG_PAUSE: Duration = Duration::from_millis(1);
/// About one minute.
const BUSY_TRIES: i32 = 60_000;

thread_local! {
    static HAS_WAITED: Cell<bool> = const { Cell::new(false) };
}

/// True if this thread has waited for another process since the last call.
pub(in crate::meta) fn has_waited() -> bool {
    HAS_WAITED.replace(false)
}

/// Waits before the next attempt; false after the last one.
pub(in crate::meta) fn wait_for_others(tries: i32) -> bool {
    HAS_WAITED.set(true);
    std::thread::sleep(if tries < BUSY_SOON {
        BUSY_PAUSE
    } else {
        BUSY_LONG_PAUSE
    });
    tries < BUSY_TRIES
}
