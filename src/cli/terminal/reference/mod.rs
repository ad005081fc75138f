//! References on the command line, the same for all commands: `[HOST[:PORT]/]REPOSITORY[:TAG|@DIGEST]`.
//!
//! A digest may be shortened to a unique prefix, with or without its algorithm. Where a command works on many, repository and
//! tag may be globs.

mod digests;
pub(crate) mod elsewhere;
mod host;
mod named;
mod names;
mod parsed;

pub(crate) use digests::digest;
pub(crate) use named::Named;
pub(crate) use names::{Names, Part, repository, tag};
pub(crate) use parsed::Reference;
