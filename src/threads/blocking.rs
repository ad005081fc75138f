//! Work that blocks, or computes for long: run off the async workers, and counted.

use tokio::task::JoinHandle;

use crate::telemetry::Gauge;

/// Blocking tasks of this process.
pub static TASKS: Tasks = Tasks {
    waiting: Gauge::new(),
    running: Gauge::new(),
};

/// Numbers of blocking tasks.
#[derive(Debug)]
pub struct Tasks {
    /// Queued for a thread.
    pub waiting: Gauge,
    pub running: Gauge,
}

/// A blocking task that panicked or was cancelled.
#[derive(Debug, thiserror::Error)]
#[error("a blocking task ended early: {0}")]
pub struct Interrupted(#[from] tokio::task::JoinError);

/// Runs `work` on a blocking thread.
pub async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Interrupted> {
    Ok(start(work).await?)
}

/// Starts `work` on a blocking thread.
pub fn start<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    TASKS.waiting.add(1);
    let counted = move || {
        TASKS.waiting.add(-1);
        TASKS.running.add(1);
        let _running = Running;
        work()
    };
    tokio::task::spawn_blocking(counted)
}

/// A task that runs, counted as such however it ends.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        TASKS.running.add(-1);
    }
}
