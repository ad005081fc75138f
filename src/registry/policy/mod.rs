//! What an owner keeps: retention policies and the globs in them.

pub(super) mod glob;
pub(super) mod retention;
