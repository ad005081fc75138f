//! The command line of `registry`: the server, and commands that work on its data directory, beside a running server or
//! without one.
//!
//! [`run`] parses the arguments and dispatches to [`commands`] or to [`server`]. [`from_config`] turns a configuration into
//! the settings of each layer; [`terminal`] reads arguments and prints results.

mod account;
mod actor;
mod commands;
mod configuration;
mod docker_entrypoint;
mod error;
mod from_config;
mod owner;
mod place;
mod run;
mod running_server;
mod server;
mod sources;
mod store;
mod terminal;
mod token_record;

pub use run::main;
