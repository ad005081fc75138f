//! The store of `registry:2` (distribution), read and never changed.
//!
//! ```text
//! docker/registry/v2/blobs/sha256/ab/<64 hex>/data                          layers, configs and manifests
//! docker/registry/v2/repositories/<name>/_layers/sha256/<hex>/link          a blob of the repository
//! docker/registry/v2/repositories/<name>/_manifests/revisions/sha256/<hex>/link
//! docker/registry/v2/repositories/<name>/_manifests/tags/<tag>/current/link
//! docker/registry/v2/repositories/<name>/_manifests/tags/<tag>/index/sha256/<hex>/link
//! ```
//!
//! A link is a file with a digest. It was written when what it names was pushed last, and so was its time.

pub(super) mod link;
mod reading;
pub(super) mod repository;
pub mod store;
mod transfer;

pub(super) use reading::collisions;
