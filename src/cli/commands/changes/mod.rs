//! Commands that change what is there.

mod later;
pub(crate) mod restore;
mod restore_elsewhere;
mod restored;
pub(crate) mod rm;
pub(crate) mod tag;
mod undo;
pub(crate) mod uploads;
