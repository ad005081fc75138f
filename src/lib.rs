#![doc = include_str!("../docs/architecture.md")]

pub mod background;
pub mod config;
pub mod oci;

pub mod directory;
pub mod mask;

pub mod log;
pub mod telemetry;

mod network;
mod outlet;
mod sparing;
mod sys;

pub mod blob;
pub mod meta;

pub mod auth;

pub mod health;
pub mod registry;

pub mod http;

pub mod tls;
