//! Retention policies, and the globs that select what they apply to.

pub(super) mod duration;
pub(super) mod glob;
pub(super) mod keep_untagged;
pub(super) mod retention;
pub(super) mod tag_policy;
