//! Commands about the server and its surroundings.

pub(crate) mod access;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod credential_provider;
pub(crate) mod health;
pub(crate) mod htpasswd;
pub(crate) mod man;
pub(crate) mod mirror_config;
mod rule_tokens;
