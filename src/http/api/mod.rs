//! The distribution API: a request becomes one `Action`, and each kind of action has its handlers.

pub(crate) mod action;
pub(crate) mod actor;
pub(crate) mod authorize;
pub(crate) mod blobs;
pub(crate) mod content;
pub(crate) mod file_body;
pub(crate) mod lists;
pub(crate) mod manifests;
pub(crate) mod query;
pub(crate) mod range;
pub(crate) mod route;
pub(crate) mod tag_history;
pub(crate) mod uploads;
pub(crate) mod validate;
