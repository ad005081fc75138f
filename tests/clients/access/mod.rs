//! Public images beside private ones on one host: pulled without a login, pushed with one, and refused in words.

pub mod engines;
pub mod host;
mod login;
pub mod refusals;
pub mod tools;

pub use host::public_and_private;
