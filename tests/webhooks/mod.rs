//! Webhooks: what happened arrives at endpoints, whatever becomes of them and of the server.

mod addresses;
mod bounds;
mod cost;
mod delivery;
mod ends;
mod events;
pub mod receiver;
mod servers;
mod survival;

use crate::support::Server;

/// A server with these webhooks, in YAML.
fn server(webhooks: &str) -> Server {
    Server::with(&[("REGISTRY_WEBHOOKS", webhooks)])
}
