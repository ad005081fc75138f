//! The outbox: events that change nothing, deliveries, and who may deliver.

pub(super) mod counters;
pub(super) mod delivery;
pub(super) mod notes;
mod noting;
