#![doc = include_str!("../docs/architecture.md")]

pub mod background;
pub mod config;
pub mod events;
pub mod oci;

pub mod escape;
pub mod files;
pub mod redact;

pub mod log;
pub mod telemetry;

mod client_key;
mod client_parts;
mod log_limit;
mod outbound;
mod sys;
mod threads;

pub mod service_manager;

pub mod blob;
pub mod meta;

pub mod auth;

pub mod health;
pub mod registry;

pub mod upstream;

pub mod backup;
pub mod export;
pub mod import;
pub mod webhooks;

pub mod mirror;

pub mod remote;
pub mod report;
pub mod ui;

pub mod http;

pub mod tls;
