#![doc = include_str!("../docs/architecture.md")]

pub mod background;
pub mod config;
pub mod oci;

pub mod atomic_file;
pub mod dir_check;
pub mod escape;
pub mod file_watch;
pub mod redact;
pub mod regular_file;

pub mod log;
pub mod telemetry;

mod background_writer;
mod blocking;
mod client_key;
mod log_limit;
mod sys;

pub mod service_manager;

pub mod blob;
pub mod meta;

pub mod auth;

pub mod health;
pub mod registry;

pub mod import;

pub mod http;

pub mod tls;
