//! Logins at another registry: its challenges, and the answers to them.

mod challenge;
mod scope;
mod tokens;

pub(super) use challenge::Challenge;
pub(super) use scope::Scope;
pub(super) use tokens::{TokenRequest, Tokens};
