//! Commands that show what is there.

pub(crate) mod audit;
pub(crate) mod du;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod quotas;
mod untagged;
pub(crate) mod verify;
pub(crate) mod why;
