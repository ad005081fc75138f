//! Requests to other servers: one over a connection of its own, or many by a client that keeps connections.

mod addresses;
mod authorities;
mod client;
mod connector;
mod document;
mod exchange;

pub(crate) use addresses::{Reach, Server};
pub(crate) use authorities::{Authorities, client_config};
pub(crate) use client::{Client, ClientSettings, Proxy, SendError};
pub(crate) use document::{Document, fetch};
pub use exchange::ExchangeError;
pub(crate) use exchange::{Encryption, exchange};
