//! Clients behind proxies: whose address counts, and the base of the URLs that clients are given.

pub(crate) mod base_url;
pub(crate) mod client;
pub(crate) mod path_prefix;
