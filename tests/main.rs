//! The integration tests: the real server, spoken to over its socket.

mod support;

mod cli;
mod collect;
mod configuration;
mod crash;
mod docs;
mod layers;
mod load;
mod login;
mod model;
mod power_loss;
mod protocol;
mod start;
mod watch;
mod wire;
