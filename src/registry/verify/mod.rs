//! Verification: the content of blobs and manifests against their digests, and the database against itself.

mod blobs;
pub(in crate::registry) mod comparison;
pub(in crate::registry) mod counters;
mod database;
mod files;
pub(in crate::registry) mod finding;
pub(in crate::registry) mod gaps;
mod manifests;
pub(in crate::registry) mod pace;
pub(in crate::registry) mod run;
mod schedule;
