//! Copies of blobs in another store: a backup.

pub(super) mod copier;
mod duplicate;
mod pruning;
mod trust;
pub(super) mod vouched;
