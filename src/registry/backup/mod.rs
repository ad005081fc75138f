//! Needs of a backup from a registry: a copy of its database, its blobs, and a pause of their removal.

pub(in crate::registry) mod counters;
pub(in crate::registry) mod incomplete;
pub(in crate::registry) mod settings;
pub(in crate::registry) mod source;
