//! Clients of the model: checked requests, changes, and loops of operations.

mod change;
pub mod checked;
mod concurrent;
pub mod expiry;
pub mod worker;
