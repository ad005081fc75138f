//! Files that requests are using: background work waits while there are any.

use std::sync::Arc;

use super::store::BlobStore;
use crate::telemetry::Gauge;

/// Number of files that requests read or write.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic(Arc<Gauge>);

/// A file in use, until this is dropped.
#[derive(Debug)]
pub(super) struct InUse(Traffic);

impl Traffic {
    pub(super) fn enter(&self) -> InUse {
        self.0.add(1);
        InUse(self.clone())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.0.add(-1);
    }
}

impl BlobStore {
    /// Reports whether requests are reading or writing files of blobs and uploads.
    pub fn is_in_use(&self) -> bool {
        self.traffic.0.get() > 0
    }
}
