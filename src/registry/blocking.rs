//! Work that blocks, or computes for long, off the async workers.

use crate::registry::error::Error;
use crate::telemetry::Gauge;

/// Tasks of this process that wait for a thread on which they may block, or have one.
pub(in crate::registry) static BLOCKING: Blocking = Blocking {
    waiting: Gauge::new(),
    running: Gauge::new(),
};

/// Tasks that block.
#[derive(Debug)]
pub struct Blocking {
    pub waiting: Gauge,
    pub running: Gauge,
}

/// Runs what blocks, or computes for long, off the async workers.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    BLOCKING.waiting.add(1);
    let counted = move || {
        BLOCKING.waiting.add(-1);
        BLOCKING.running.add(1);
        let _running = Running;
        work()
    };
    tokio::task::spawn_blocking(counted)
        .await
        .map_err(|error| Error::Internal(format!("a blocking task ended early: {error}")))
}

/// A blocking task that runs, counted as such however it ends.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        BLOCKING.running.add(-1);
    }
}
