//! Requests to other servers: one at a time, over a connection of its own.

mod authorities;
mod document;
mod exchange;

pub(crate) use authorities::{Authorities, client_config};
pub(crate) use document::{Document, fetch};
pub use exchange::ExchangeError;
pub(crate) use exchange::{Encryption, exchange};
