//! Content as an export reads it: whole, compared with its digests, and kept from collection meanwhile.

pub(in crate::registry) mod blob;
pub(in crate::registry) mod lease;
pub(in crate::registry) mod manifest;
