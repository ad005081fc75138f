//! Reports: what collection would remove, what uses the disk, why something is kept.

pub(super) mod forecast;
pub(super) mod measurement;
pub(super) mod preview;
pub(super) mod readiness;
pub(super) mod removal;
pub(super) mod simulation;
pub(super) mod status;
pub(super) mod usage;
pub(super) mod why;
