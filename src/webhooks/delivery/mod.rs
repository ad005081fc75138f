//! Delivery: one courier for each endpoint, which shares no queue, no connection and no fault with the others.
//!
//! `service` decides who delivers to whom. A `courier` reads new events, has `turn`s send them, and records what became of them;
//! its `ledger` is all that it knows, without IO. `collapse` and `retry` are rules.

mod collapse;
mod courier;
mod ledger;
mod retry;
mod service;
mod turn;

pub use service::{Endpoints, Webhooks};
