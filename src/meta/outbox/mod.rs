//! The outbox: events for endpoints outside, how far each endpoint was told, and its last attempts.

pub(super) mod attempts;
pub(super) mod endpoints;
pub(super) mod events;
pub(super) mod memory;
pub(super) mod queues;
pub(super) mod reports;
pub(super) mod retention;
