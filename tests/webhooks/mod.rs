//! Webhooks: what happened arrives at endpoints, whatever becomes of them and of the server.

mod cost;
mod delivery;
mod receiver;
mod servers;
mod survival;
