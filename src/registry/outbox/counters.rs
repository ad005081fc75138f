//! Counters of the outbox, for monitoring.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::telemetry::{Counter, Gauge};

/// Counters of the outbox.
#[derive(Default)]
pub struct OutboxCounters {
    /// Deliveries that waited, and were lost because the outbox was full or they were too old; pulls that were not gathered.
    pub lost: Counter,
    endpoints: Mutex<BTreeMap<String, Arc<EndpointCounters>>>,
}

/// Counters of one endpoint.
#[derive(Default)]
pub struct EndpointCounters {
    /// Events that were shared out to it.
    pub events: Counter,
    pub delivered: Counter,
    /// Attempts that got an answer other than success.
    pub failed: Counter,
    /// Attempts that got no answer.
    pub unanswered: Counter,
    /// Events that are not tried any more.
    pub dead: Counter,
    pub waiting: Gauge,
    /// Number of answers by status.
    statuses: Mutex<BTreeMap<u16, u64>>,
}

impl OutboxCounters {
    /// Returns the counters of an endpoint, from 0 if it is new.
    pub fn of(&self, endpoint: &str) -> Arc<EndpointCounters> {
        let mut endpoints = self.endpoints.lock();
        Arc::clone(endpoints.entry(endpoint.to_owned()).or_default())
    }

    /// Lists the counters of all endpoints, by name.
    pub fn endpoints(&self) -> Vec<(String, Arc<EndpointCounters>)> {
        let endpoints = self.endpoints.lock();
        let endpoints = endpoints.iter();
        endpoints
            .map(|(name, counters)| (name.clone(), Arc::clone(counters)))
            .collect()
    }
}

impl EndpointCounters {
    /// Counts an answer.
    pub fn count_status(&self, status: u16) {
        *self.statuses.lock().entry(status).or_default() += 1;
    }

    /// Lists the number of answers by status.
    pub fn statuses(&self) -> Vec<(u16, u64)> {
        let statuses = self.statuses.lock();
        statuses
            .iter()
            .map(|(status, number)| (*status, *number))
            .collect()
    }
}
