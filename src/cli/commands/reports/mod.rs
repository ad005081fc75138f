//! Commands that show what is there.

pub(crate) mod audit;
pub(crate) mod du;
mod du_elsewhere;
pub(crate) mod growth;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod quotas;
mod untagged;
mod usage_tables;
pub(crate) mod verify;
pub(crate) mod why;
