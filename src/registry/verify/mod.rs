//! Verification: the content of blobs and manifests against their digests, and the database against itself.

pub(in crate::registry) mod comparison;
pub(in crate::registry) mod finding;
pub(in crate::registry) mod run;
