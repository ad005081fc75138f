//! Commands that copy what is stored.

pub(crate) mod backup;
