//! Lists and sums, for clients and for the owner.

pub(super) mod listings;
pub(super) mod lookup;
pub(super) mod references;
pub(super) mod usage;
pub(super) mod verification;
