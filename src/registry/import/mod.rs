//! Content that another registry keeps in files: taken over without copying it, and checked in the background.

pub(in crate::registry) mod adopted;
pub(in crate::registry) mod bring;
pub(in crate::registry) mod check;
pub(in crate::registry) mod config;
pub(in crate::registry) mod mirrored;
pub(in crate::registry) mod piece;
pub(in crate::registry) mod progress;
pub(in crate::registry) mod record;
pub(in crate::registry) mod spool;
pub(in crate::registry) mod tag_fate;
