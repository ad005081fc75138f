//! Garbage collection: sweeps, the rules about tags, and what they count.

pub(super) mod counters;
pub(super) mod failed_removals;
pub(super) mod progress;
pub(super) mod sweep;
pub(super) mod swept;
pub(super) mod tag_rules;
