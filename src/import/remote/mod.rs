//! Another registry that is running: its images come over the network.
//!
//! Threads read repository after repository, as those of a store. What is here already is not fetched again, so that an import which
//! was interrupted goes on when it is repeated. What passes (a quota, a server that restarts) is waited for.

mod patience;
mod presence;
mod reading;
mod registry;
mod transfer;

pub use registry::RemoteRegistry;

pub(super) use presence::Presence;
pub(super) use registry::{Names, RemoteBlob};
