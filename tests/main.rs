//! The integration tests: the real server, spoken to over its socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]

mod support;

mod api;
mod cli;
mod collect;
mod configuration;
mod crash;
mod export;
mod import;
mod load;
mod login;
mod model;
mod power_loss;
mod protocol;
mod start;
mod structure;
mod ui;
mod upstream;
mod watch;
mod webhooks;
mod wire;
