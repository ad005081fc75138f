//! Pulling manifests and blobs, and counting pulls.

pub(in crate::registry) mod blob;
pub(in crate::registry) mod counts;
mod damaged;
pub(in crate::registry) mod manifest;
pub(in crate::registry) mod promises;
