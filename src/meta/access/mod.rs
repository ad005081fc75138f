//! Tokens of machines.

pub(super) mod token_changes;
pub(super) mod tokens;
