//! Clients of the model: checked requests, changes, and loops of operations.

pub mod cached;
mod change;
pub mod checked;
mod concurrent;
pub mod expiry;
pub mod worker;
