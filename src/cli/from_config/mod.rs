//! Conversion of a configuration into the settings of each layer, with defaults applied and every violation reported.

pub(crate) mod access;
pub(crate) mod auth;
mod backup;
mod caches;
pub(crate) mod check;
pub(crate) mod debug;
pub(crate) mod defaults;
pub(crate) mod health;
pub(crate) mod http;
pub(crate) mod known_users;
pub(crate) mod log;
pub(crate) mod oidc;
pub(crate) mod registry;
pub(crate) mod retention;
pub(crate) mod syncs;
pub(crate) mod tls;
pub(crate) mod trust;
pub(crate) mod upstreams;
pub(crate) mod webhooks;
