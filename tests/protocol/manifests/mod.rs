//! Manifests: pushes, validation and deletion.

mod acceptance;
mod deleting;
mod kinds;
mod pushing;
mod refusals;
mod sparse;
