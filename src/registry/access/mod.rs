//! Who may do what: the tokens of machines, and their last use.

pub(super) mod token_uses;
pub(super) mod tokens;
