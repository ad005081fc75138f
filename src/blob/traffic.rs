//! Files that requests are using: background work waits while there are any.

use std::sync::Arc;

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

    pub(super) fn is_there(&self) -> bool {
        self.0.get() > 0
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.0.add(-1);
    }
}
