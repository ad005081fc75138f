//! Certificates by ACME (RFC 8555), one for each host, renewed while the server runs.

mod cache;
mod host_names;
mod order;
mod renewal;
mod resolver;
mod settings;

pub(super) use host_names::check;
pub(super) use renewal::{ALPN, Acme};
pub use settings::{Settings, lets_encrypt};
