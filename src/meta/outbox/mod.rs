//! The outbox: events for endpoints outside, and what became of each delivery.

pub(super) mod deliveries;
pub(super) mod events;
pub(super) mod listened;
pub(super) mod reports;
pub(super) mod retention;
