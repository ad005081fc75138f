//! Requests: parsed into an `Action`, validated and authorized before a handler runs.

pub(crate) mod action;
pub(crate) mod actor;
pub(crate) mod authorize;
pub(crate) mod body;
pub(crate) mod conditions;
pub(crate) mod origin;
pub(crate) mod query;
pub(crate) mod rights;
pub(crate) mod route;
pub(crate) mod upstream_ways;
pub(crate) mod validate;
