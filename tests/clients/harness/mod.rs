//! Starting the registry, its surroundings and the clients for a case.

pub mod api;
pub mod endpoint;
pub mod engine;
pub mod engine_version;
pub mod fixture;
pub mod peer;
pub mod pki;
pub mod program;
pub mod runner;
pub mod sandbox;
pub mod server;
pub mod transport;
