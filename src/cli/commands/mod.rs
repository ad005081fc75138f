//! The commands, a file each: its arguments, and what it does and prints.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod du;
mod forecast;
pub(crate) mod garbage_collect;
pub(crate) mod gc;
pub(crate) mod health;
pub(crate) mod htpasswd;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod policy;
pub(crate) mod restore;
pub(crate) mod rm;
pub(crate) mod tag;
pub(crate) mod verify;
pub(crate) mod why;
