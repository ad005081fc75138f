//! Retention policies.

pub(super) mod cache_rule;
pub(super) mod duration;
pub(super) mod edited;
pub(super) mod keep_untagged;
pub(super) mod quota;
pub(super) mod quota_use;
pub(super) mod retention;
pub(super) mod rule_removal;
pub(super) mod sync_rule;
pub(super) mod tag_policy;
