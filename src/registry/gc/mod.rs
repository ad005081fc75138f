//! Garbage collection: sweeps, tag rules, and their counters.

mod clock;
pub(super) mod counters;
mod days;
pub(super) mod deleted;
pub(super) mod eviction_counters;
pub(super) mod evictions;
pub(super) mod failed_removals;
pub(super) mod files;
pub(super) mod progress;
mod promises;
pub(super) mod run;
pub(super) mod server_rules;
pub(super) mod sweep;
pub(super) mod sweep_counts;
pub(super) mod tag_rules;
