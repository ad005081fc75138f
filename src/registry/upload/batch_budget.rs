//! The memory budget that all uploads share for bytes on their way to the disk.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Maximum number of batches in memory: 8 MiB for all uploads.
const BATCHES_IN_MEMORY: usize = 16;

/// Permits for batches of upload bytes in memory; clones share them.
#[derive(Clone)]
pub(in crate::registry) struct BatchBudget(Arc<Semaphore>);

impl Default for BatchBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BATCHES_IN_MEMORY)))
    }
}

impl BatchBudget {
    /// Waits until another batch may be in memory.
    ///
    /// Never returns `None`: the semaphore is never closed.
    pub(super) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}
