//! Delivery of events to endpoints outside.

mod settings;

pub use settings::{Endpoint, Format, Retry, Secret, Selection};
