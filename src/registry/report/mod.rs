//! Reports: forecasts, disk usage, previews, reasons for retention, and status.

mod damage;
pub(super) mod deleted;
pub(super) mod dependents;
mod evictions;
pub(super) mod forecast;
pub(super) mod growth;
pub(super) mod losses;
pub(super) mod measurement;
pub(super) mod natural;
pub(super) mod preview;
pub(super) mod ranking;
pub(super) mod readiness;
pub(super) mod removal;
pub(super) mod rule_effects;
pub(super) mod simulation;
pub(super) mod status;
pub(super) mod tag_facts;
pub(super) mod untagged;
pub(super) mod usage;
pub(super) mod why;
