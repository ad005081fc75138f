//! Copies of blobs in another store: a backup.

pub(super) mod copier;
mod duplicate;
mod owner;
mod pruning;
mod trust;
mod unnamed;
pub(super) mod vouched;
