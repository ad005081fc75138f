//! Counters of the outbox, for monitoring.

use crate::telemetry::Counter;

/// Counters of the outbox.
#[derive(Default)]
pub struct OutboxCounters {
    /// Deliveries that waited, and were lost because the outbox was full or they were too old; pulls that were not gathered.
    pub lost: Counter,
}
