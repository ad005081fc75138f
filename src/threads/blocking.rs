//! Work that blocks, or computes for long: run off the async workers, and counted.

use tokio::sync::oneshot;

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
#[error("a blocking task ended early")]
pub struct Interrupted;

/// Runs `work` on a blocking thread.
pub async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Interrupted> {
    start(work).await
}

/// Starts `work` on a blocking thread, whether or not its outcome is waited for.
pub fn start<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Interrupted>> + Send {
    let (reply, outcome) = oneshot::channel();
    spawn(Box::new(move || drop(reply.send(work()))));
    async move { outcome.await.map_err(|_| Interrupted) }
}

/// Spawns work of any kind as one type of task: each further type adds 5 KB to the program.
fn spawn(work: Box<dyn FnOnce() + Send>) {
    TASKS.waiting.add(1);
    tokio::task::spawn_blocking(move || {
        TASKS.waiting.add(-1);
        TASKS.running.add(1);
        let _running = Running;
        work();
    });
}

/// A task that runs, counted as such however it ends.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        TASKS.running.add(-1);
    }
}
