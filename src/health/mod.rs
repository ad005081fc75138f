//! Health checks that the owner configures: distribution's `health` section.
//!
//! A caller of the operations, beside HTTP and the command line. [`crate::http`] rejects requests while a check fails.

mod checks;
mod probe;
mod readiness;
mod web;

pub use crate::outbound::ExchangeError;
pub use checks::{Check, Health};
pub use probe::Probe;
pub use readiness::{Endpoint, readiness};
pub use web::Web;
