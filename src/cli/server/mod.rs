//! `registry serve`: starting and stopping the server, and reloading its configuration while it runs.

mod adoptions;
mod announce;
mod connection_limit;
mod monitoring;
mod parts;
mod reload;
pub(crate) mod serve;
pub(super) mod signals;
mod sockets;
mod syncs;
mod token_source;
mod upstreams;
mod webhooks;
