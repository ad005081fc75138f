//! Delivery of events to endpoints outside.
//!
//! A caller of the operations, like HTTP. Events wait in the database ([`crate::registry::Outbox`]), so all of this may die
//! with the process at any moment.

mod delivery;
pub mod format;
mod selection;
mod sender;
mod settings;

pub use delivery::{Endpoints, Webhooks};
pub use sender::{Answer, Sender};
pub use settings::{Endpoint, Format, Retry, Secret, Selection};
