//! Tokens of machines, and their last use.

pub(super) mod token_uses;
pub(super) mod tokens;
