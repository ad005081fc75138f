//! Threads beside the async workers.

pub(crate) mod background_writer;
pub(crate) mod blocking;
pub(crate) mod low_priority;
