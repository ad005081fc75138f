//! Waiting of threads for asynchronous work, until they are told to stop.

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::import::error::Error;

/// Waits on behalf of threads.
#[derive(Clone)]
pub(super) struct Waiter {
    handle: Handle,
    stopped: watch::Receiver<()>,
    /// Keeps it from being stopped, where nobody else can.
    _never: Option<std::sync::Arc<watch::Sender<()>>>,
}

/// Stops all who wait when it is dropped.
pub(super) struct Stop(
    #[expect(dead_code, reason = "its end is what is waited for")] watch::Sender<()>,
);

impl Waiter {
    /// A waiter that is not stopped.
    pub fn new(handle: Handle) -> Self {
        let (sender, stopped) = watch::channel(());
        Self {
            handle,
            stopped,
            _never: Some(std::sync::Arc::new(sender)),
        }
    }

    /// A waiter that stops with what is returned beside it.
    pub fn with_stop(handle: Handle) -> (Self, Stop) {
        let (sender, stopped) = watch::channel(());
        let waiter = Self {
            handle,
            stopped,
            _never: None,
        };
        (waiter, Stop(sender))
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits for some work. Blocks.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if it is stopped.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let mut stopped = self.stopped.clone();
        self.handle.block_on(async {
            tokio::select! {
                biased;
                _ = stopped.changed() => Err(Error::Interrupted),
                done = work => Ok(done),
            }
        })
    }
}
