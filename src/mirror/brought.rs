//! Places of blobs that clients want.

use crate::registry::GrowingBlob;

/// Place of a blob that a client asks for.
#[derive(Clone, Debug)]
pub enum BroughtBlob {
    /// Here, or nowhere: the registry tells.
    Here,
    /// On its way from the upstream.
    Arriving(GrowingBlob),
}

/// Place of a blob that a client asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownBlob {
    /// Here, or nowhere: the registry tells.
    Here,
    Upstream {
        /// In bytes, if the upstream says it.
        size: Option<u64>,
    },
}
