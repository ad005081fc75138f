//! What an owner keeps: retention policies and the globs in them.

pub(super) mod duration;
pub(super) mod glob;
pub(super) mod keep_untagged;
pub(super) mod retention;
pub(super) mod tag_policy;
