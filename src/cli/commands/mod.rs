//! The commands, a file each: its arguments, and what it does and prints.

pub(crate) mod changes;
pub(crate) mod collection;
pub(crate) mod reports;
pub(crate) mod setup;
pub(crate) mod token;
pub(crate) mod transfer;
pub(crate) mod upstream;
pub(crate) mod webhook;
