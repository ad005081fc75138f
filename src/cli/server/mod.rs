//! `registry serve`: starting and stopping the server, and reloading its configuration while it runs.

mod monitoring;
mod reload;
pub(crate) mod serve;
