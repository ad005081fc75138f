//! The outbox: events that change nothing, what endpoints are told, its bounds, and who may deliver.

pub(super) mod counters;
pub(super) mod delivery;
pub(super) mod notes;
mod noting;
mod pruning;
