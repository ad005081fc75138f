//! Work on a thread of its own whose priority is lower than that of requests: where processors are short, requests go first.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// Difference to the usual priority: of a processor that requests need too, about a tenth is left.
const NICENESS: i32 = 10;
/// Lowest priority that there is.
const LOWEST: i32 = 19;
/// Maximum time for blocking calls that are under way when the work is dropped.
const LAST_CALLS: Duration = Duration::from_millis(100);

/// A thread at work. Dropping this drops the work, and waits for that.
struct Working {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Runs work on a thread of its own, and whatever it spawns, until it is done or this is dropped.
///
/// # Errors
/// The system cannot start a thread.
pub(crate) async fn run<F: Future<Output = ()>>(
    name: &'static str,
    work: impl FnOnce() -> F + Send + 'static,
) -> io::Result<()> {
    let (end, ended) = oneshot::channel();
    let (finish, finished) = oneshot::channel();
    let thread = std::thread::Builder::new().name(name.to_owned());
    let thread = thread.spawn(move || {
        // made here, because no runtime can be dropped inside another one
        let runtime = Builder::new_current_thread().enable_all().build();
        let outcome = runtime.map(|runtime| block_on(runtime, work, ended));
        // nobody waits any more if this was dropped
        let _ = finish.send(outcome);
    })?;
    let _working = Working {
        end: Some(end),
        thread: Some(thread),
    };
    // an error says that the work panicked, which is logged
    finished.await.unwrap_or(Ok(()))
}

fn block_on<F: Future<Output = ()>>(
    runtime: Runtime,
    work: impl FnOnce() -> F,
    ended: oneshot::Receiver<()>,
) {
    // threads of blocking calls take the priority of this one
    let lowered = getpriority_process(None)
        .and_then(|priority| setpriority_process(None, (priority + NICENESS).min(LOWEST)));
    if let Err(error) = lowered {
        tracing::debug!(%error, "cannot lower the priority of a thread");
    }
    runtime.block_on(async {
        tokio::select! {
            () = work() => {}
            _ = ended => {}
        }
    });
    runtime.shutdown_timeout(LAST_CALLS);
}

impl Drop for Working {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};

    use super::*;

    fn niceness() -> i32 {
        getpriority_process(None).unwrap()
    }

    #[tokio::test]
    async fn work_and_what_it_spawns_has_a_lower_priority_than_others() {
        let found = Arc::new(AtomicI32::new(0));
        let noted = Arc::clone(&found);
        let before = niceness();
        let work = move || async move {
            let task = tokio::spawn(async { niceness() });
            let call = tokio::task::spawn_blocking(niceness);
            noted.store(
                task.await.unwrap().min(call.await.unwrap()),
                Ordering::SeqCst,
            );
        };
        run("test", work).await.unwrap();
        assert_eq!(
            found.load(Ordering::SeqCst),
            (before + NICENESS).min(LOWEST)
        );
        assert_eq!(niceness(), before);
    }

    #[tokio::test]
    async fn dropping_it_ends_the_work() {
        let kept = Arc::new(());
        let held = Arc::clone(&kept);
        let work = move || async move {
            let _held = held;
            std::future::pending().await
        };
        let outcome = tokio::time::timeout(Duration::from_millis(10), run("test", work)).await;
        assert!(outcome.is_err());
        assert_eq!(Arc::strong_count(&kept), 1);
    }
}
