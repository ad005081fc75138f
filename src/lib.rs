#![doc = include_str!("../docs/architecture.md")]

pub mod collector;
pub mod config;
pub mod oci;

mod sys;

pub mod blob;
pub mod meta;

pub mod auth;
pub mod registry;

pub mod http;

pub mod tls;
