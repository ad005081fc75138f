//! Tests of token validation.

mod claims;
mod fixture;
mod keys;
mod refusals;
