//! Delivery of events to endpoints outside.
//!
//! A caller of the operations, like HTTP. Events wait in the database ([`crate::registry::Outbox`]), so all of this may die
//! with the process at any moment.

mod courier;
pub mod format;
mod retry;
mod selection;
mod sender;
mod service;
mod settings;

pub use sender::{Answer, Sender};
pub use service::{Endpoints, Webhooks};
pub use settings::{Endpoint, Format, Retry, Secret, Selection};
