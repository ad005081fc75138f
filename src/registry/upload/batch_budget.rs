//! The memory budget that all uploads share for bytes on their way to the disk.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::telemetry::Counter;

/// Maximum number of batches in memory: 8 MiB for all uploads.
const BATCHES_IN_MEMORY: usize = 16;
/// Number of batches that the buffers of an upload with its own threads count for.
const BATCHES_OF_DIRECT: u32 = 2;
/// Maximum number of uploads with their own threads. The other half of the memory stays for all others.
const DIRECT_UPLOADS: usize = 4;

/// Permits for batches of upload bytes in memory; clones share them.
#[derive(Clone)]
pub(in crate::registry) struct BatchBudget {
    batches: Arc<Semaphore>,
    direct: Arc<Semaphore>,
    direct_bytes: Arc<Counter>,
}

/// Permit for the threads and buffers of one upload.
pub(super) struct DirectPermit {
    _threads: OwnedSemaphorePermit,
    _buffers: OwnedSemaphorePermit,
}

impl Default for BatchBudget {
    fn default() -> Self {
        Self {
            batches: Arc::new(Semaphore::new(BATCHES_IN_MEMORY)),
            direct: Arc::new(Semaphore::new(DIRECT_UPLOADS)),
            direct_bytes: Arc::default(),
        }
    }
}

impl BatchBudget {
    /// Waits until another batch may be in memory.
    ///
    /// Never returns `None`: the semaphore is never closed.
    pub(super) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.batches).acquire_owned().await.ok()
    }

    /// Returns a permit for an upload with its own threads, unless too many are running.
    pub(super) fn try_acquire_direct(&self) -> Option<DirectPermit> {
        let threads = Arc::clone(&self.direct).try_acquire_owned().ok()?;
        let buffers = Arc::clone(&self.batches)
            .try_acquire_many_owned(BATCHES_OF_DIRECT)
            .ok()?;
        Some(DirectPermit {
            _threads: threads,
            _buffers: buffers,
        })
    }

    /// Counter of the bytes that uploads with their own threads have received.
    pub(in crate::registry) fn direct_bytes(&self) -> &Counter {
        &self.direct_bytes
    }
}
