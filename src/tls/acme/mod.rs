//! Certificates by ACME (RFC 8555), requested and renewed while the server runs, one for each host.

mod cache;
mod order;
mod renewal;
mod resolver;
mod settings;

pub(super) use renewal::{ALPN, Acme, check};
pub use settings::{Settings, lets_encrypt};
