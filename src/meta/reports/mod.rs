//! Lists and sums, for clients and for the owner.

pub(super) mod consistency;
pub(super) mod days;
mod former_tags;
pub(super) mod listings;
pub(super) mod lookup;
pub(super) mod references;
pub(super) mod usage;
pub(super) mod verification;
pub(super) mod verification_run;
