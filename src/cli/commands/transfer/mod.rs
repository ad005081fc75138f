//! Commands that carry content to other places and tools, and bring it from there.

pub(crate) mod backup;
pub(crate) mod export;
pub(crate) mod import;
mod remote;
