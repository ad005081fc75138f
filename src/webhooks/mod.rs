//! Delivery of events to endpoints outside.

pub mod format;
mod settings;

pub use settings::{Endpoint, Format, Retry, Secret, Selection};
